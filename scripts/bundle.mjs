// Puts the modules behind bin/snap.js into fewer files, as Node takes longer to find four hundred of them than to run them.
// What is loaded on demand stays so, and packages stay what is installed. Where rolldown cannot run, which has a binary for
// each platform, the program is run from the single modules.
//
//   node scripts/bundle.mjs
import { rmSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
rmSync(`${dist}program`, { recursive: true, force: true })
const rolldown = await import('rolldown').catch(({ message }) => {
  console.error(`not bundled, the program will start slower: ${message}`)
})
const bundle = await rolldown?.rolldown({
  input: `${dist}cli/main.js`,
  platform: 'node',
  external: (name) => !name.startsWith('.') && !isAbsolute(name),
  logLevel: 'warn',
})
await bundle?.write({ dir: `${dist}program`, format: 'esm' })
