// What every benchmark works with: the two programs, the data, a scratch folder, and sets that several of them read.
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cachedData, startWith } from './data.mjs'
import { guardDirectory } from './helpers.mjs'
import { alternate, median, timed } from './measure.mjs'

const SNAP = new URL('../bin/snap.js', import.meta.url).pathname

/**
 * Opens what the benchmarks share, for `data` as data.mjs has it:
 *
 * - `snap(words)`, `stock(words)`: run one of the programs and return what it cost, options as for `timed`
 * - `alternate(works)`: the medians of as many rounds as are wanted
 * - `at(...names)`: a path in a folder that is removed at the end
 * - `data`: where the data is (`folder` with `data`, `wal` and `meta`, never to be changed), `values`, `bytes` of TSM, times
 * - `server()`: an influxd with a copy of the data, started when it is first asked for
 * - `setOf(compression)`: the folder of a set of the data, `stockSet()` one of influxd's own, `legacySet()` one of its old kind
 * - `startUp`: the median of `snap --version`, seconds
 */
export async function openContext({ influxd, cache, times, data: options, say }) {
  const root = await mkdtemp(join(tmpdir(), 'snap-bench-'))
  guardDirectory(root)
  const at = (...names) => join(root, ...names.map(String))
  const closers = [() => rm(root, { recursive: true, force: true })]
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const data = await cachedData({ cache, influxd, say }, options)
    const snap = (words, how) => timed(process.execPath, [SNAP, ...words], how)
    const stock = (words) => timed(influxd, words)
    const starts = []
    for (let i = 0; i < times + 2; i++) starts.push((await snap(['--version'])).seconds)
    const context = {
      ...{ influxd, cache, times, data, say, at, snap, stock, close },
      startUp: median(starts),
      alternate: (works) => alternate(works, times),
      server: once(async () => {
        const server = await startWith({ influxd }, data, at('influxd'))
        closers.push(server.stop)
        return server
      }),
    }
    return { ...context, ...setsOf(context) }
  } catch (error) {
    await close()
    throw error
  }
}

function setsOf({ snap, stock, at, data, server }) {
  const make = async (words, folder) => {
    await snap(['backup', '--quiet', '--data-dir', join(data.folder, 'data'), ...words, folder])
    return folder
  }
  const sets = {
    gzip: once(() => make([], at('set-gzip'))),
    none: once(() => make(['--compression', 'none'], at('set-none'))),
  }
  const stockBackup = async (words, folder) => {
    const { host } = await server()
    await stock(['backup', ...words, '-host', host, folder])
    return folder
  }
  return {
    setOf: (compression) => sets[compression](),
    stockSet: once(() => stockBackup(['-portable'], at('set-stock'))),
    legacySet: once(() => stockBackup(['-database', 'd'], at('set-legacy'))),
  }
}

/**
 * Returns the works that were chosen: those of a name, or, where a word is none, all whose names hold it.
 * @param works words with commas between them; undefined: all
 */
export function chosenWorks(all, works) {
  const words = works?.split(',') ?? ['']
  const isChosen = (name) =>
    words.some((word) => (word in all ? name === word : name.includes(word)))
  const chosen = Object.entries(all).filter(([name]) => isChosen(name))
  if (chosen.length > 0) return Object.fromEntries(chosen)
  throw new Error(`--works ${works}: expected parts of ${Object.keys(all).join('; ')}`)
}

/** True if there is an igzip, which backups take where they find it. */
export function hasIgzip() {
  return spawnSync('igzip', ['--version']).status === 0
}

/** The environment of a run that finds no igzip. */
export const WITHOUT_IGZIP = { ...process.env, PATH: '/nowhere' }

/** Makes something when it is first asked for. */
export function once(make) {
  let made
  return () => {
    made ??= make()
    return made
  }
}
