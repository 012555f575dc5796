// Puts the modules behind bin/snap.js and the packages that they use into fewer files, as Node takes longer to find five hundred
// of them than to run them. What is loaded on demand stays so. src/cli/code-cache.ts loads the files, and for it they are
// CommonJS. Where rolldown cannot run, which has a binary for each platform, the program is run from the single modules.
//
//   node scripts/bundle.mjs
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const dir = join(dist, 'program')
rmSync(dir, { recursive: true, force: true })
const rolldown = await import('rolldown').catch(({ message }) => {
  console.error(`not bundled, the program will start slower: ${message}`)
})
const { shareShapes } = rolldown ? await import('./share-shapes.mjs') : {}
/** Not as chunks are rendered: what rolldown drops after that it would drop, too. */
const shapes = {
  name: 'shapes',
  generateBundle(_, files) {
    for (const file of Object.values(files)) file.code = shareShapes(file.code)
  },
}
const bundle = await rolldown?.rolldown({
  input: join(dist, 'cli/main.js'),
  platform: 'node',
  // Of packages that are there as modules, too, nothing is taken that is not used.
  resolve: { mainFields: ['module', 'main'] },
  logLevel: 'warn',
  plugins: [{ name: 'builtins', renderChunk: requireBuiltins }, shapes],
})
const { output = [] } =
  (await bundle?.write({
    ...{ dir, format: 'cjs', entryFileNames: '[name].cjs', chunkFileNames: '[name]-[hash].cjs' },
  })) ?? {}
// The program of a thread is in one file of its own, which has no more than it needs.
for (const program of ['tsm/check-program.js', 'operations/stage-program.js']) {
  const input = join(dist, program)
  const options = { input, platform: 'node', logLevel: 'warn', plugins: [shapes] }
  const thread = await rolldown?.rolldown(options)
  await thread?.write({ dir, format: 'esm', codeSplitting: false })
}
if (bundle !== undefined) {
  const modules = output.flatMap((chunk) => Object.keys(chunk.modules ?? {}))
  writeFileSync(join(dir, 'NOTICES.txt'), notices(modules))
}

/** Code out of a cache cannot call `import()`. Modules of Node are all that it is still called for. */
function requireBuiltins(code) {
  return code.replaceAll(/\bimport\("(node:[\w/]+)"\)/g, 'Promise.resolve(require("$1"))')
}

/** Returns the licences of the packages that `modules` are of, each text once. */
function notices(modules) {
  const folders = modules.map((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0])
  const packages = new Map()
  for (const folder of new Set(folders.filter((path) => path !== undefined))) {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    )
    const text = readdirSync(folder)
      .filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file))
      .map((file) => readFileSync(join(folder, file), 'utf8').trim())
      .join('\n\n')
    packages.set(text, [...(packages.get(text) ?? []), `${name} ${version} (${license})`])
  }
  const parts = [...packages].map(([text, names]) => `${names.sort().join('\n')}\n\n${text}\n`)
  return `In the files of this folder there are:\n\n${parts.sort().join(`\n${'='.repeat(80)}\n\n`)}`
}
