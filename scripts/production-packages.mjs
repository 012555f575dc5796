// Lists the packages that the program needs when it runs, as package-lock.json has them; not those of development, nor what
// others would merely like to have.
//
//   node scripts/production-packages.mjs
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Returns their places from the root of the project: `node_modules/chalk`, and those inside of others. */
export function productionPackages() {
  const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional, optional }]) => path && !(dev || devOptional || optional))
    .map(([path]) => path)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of productionPackages()) console.log(path)
}
