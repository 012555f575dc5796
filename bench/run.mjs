// Backups, restores and checks side by side with influxd, alternating, with medians, CPU and peak memory.
//
//   npm run build && npm run bench [-- --days 2 --times 5 --influxd /usr/bin/influxd]
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { load, query, startInfluxd } from './influxd.mjs'
import { alternate, machine, printTable, timed } from './measure.mjs'

const { values: options } = parseArgs({
  options: {
    days: { type: 'string', default: '2' },
    times: { type: 'string', default: '3' },
    influxd: { type: 'string', default: process.env.INFLUXD ?? 'influxd' },
  },
})
const TIMES = Number(options.times)
const SNAP = new URL('../bin/snap.js', import.meta.url).pathname
const HAS_IGZIP = spawnSync('igzip', ['--version']).status === 0

const root = await mkdtemp(join(tmpdir(), 'snap-bench-'))
const at = (...parts) => join(root, ...parts.map(String))
const snap = (...words) => timed(process.execPath, [SNAP, ...words])
const withoutIgzip = (...words) =>
  timed(process.execPath, [SNAP, ...words], { env: { ...process.env, PATH: '/nowhere' } })
const stock = (...words) => timed(options.influxd, words)

const rows = []
/** Adds a row: `work` against `other`, with start-up taken off ours. */
function report(name, { ours, theirs, target }, start) {
  const own = Math.max(0, ours.seconds - start.seconds)
  const ratio = theirs ? own / theirs.seconds : undefined
  rows.push([
    name,
    own.toFixed(2),
    theirs ? theirs.seconds.toFixed(2) : '',
    ratio === undefined ? '' : ratio.toFixed(2),
    target ?? '',
    ours.cpu.toFixed(1),
    theirs ? theirs.cpu.toFixed(1) : '',
    ours.memory.toFixed(0),
  ])
}

async function sizeOf(folder) {
  let size = 0
  for (const name of await readdir(folder, { recursive: true })) {
    const found = await stat(join(folder, name))
    if (found.isFile()) size += found.size
  }
  return size
}

async function backups(server, start) {
  const from = ['backup', '--quiet', '--host', server.host]
  const plain = [...from, '--fingerprint', 'off']
  const costs = await alternate(
    {
      stock: (i) => stock('backup', '-portable', '-host', server.host, at('stock', i)),
      legacy: (i) => stock('backup', '-database', 'd', '-host', server.host, at('legacy', i)),
      zlib: (i) => withoutIgzip(...plain, at('zlib', i)),
      ...(HAS_IGZIP && { igzip: (i) => snap(...plain, at('igzip', i)) }),
      none: (i) => snap(...plain, '--compression', 'none', at('none', i)),
      sums: (i) => withoutIgzip(...from, at('sums', i)),
    },
    TIMES,
  )
  const { stock: theirs, legacy, zlib, igzip, none, sums } = costs
  report('backup, gzip', { ours: zlib, theirs, target: '1.0' }, start)
  if (igzip) report('backup, gzip by igzip', { ours: igzip, theirs, target: '0.65' }, start)
  report('backup, stored', { ours: none, theirs: legacy, target: '2.0' }, start)
  report(
    'backup with fingerprints, against without',
    { ours: sums, theirs: zlib, target: '1.3' },
    start,
  )
  const [ours, other] = [await sizeOf(at('zlib', 0)), await sizeOf(at('stock', 0))]
  console.log(`size of the set, against influxd's: ${(ours / other).toFixed(3)}`)
}

async function restores(server, start) {
  const drop = (name) => query(server, `DROP DATABASE ${name}`)
  const costs = await alternate(
    {
      stock: async (i) => {
        const words = ['restore', '-portable', '-host', server.host, '-db', 'd', '-newdb', 'their']
        const cost = await stock(...words, at('stock', i))
        await drop('their')
        return cost
      },
      ...Object.fromEntries(
        [['quick', '--no-readback'], ['checked']].map(([name, ...flags]) => [
          name,
          async (i) => {
            const words = [
              'restore',
              '--quiet',
              '--host',
              server.host,
              '--http',
              server.url,
              '--db',
              'd',
            ]
            const cost = await snap(...words, '--newdb', 'ours', ...flags, at('zlib', i))
            await drop('ours')
            return cost
          },
        ]),
      ),
    },
    TIMES,
  )
  const { stock: theirs, quick, checked } = costs
  report('restore, no read-back', { ours: quick, theirs, target: '0.8' }, start)
  report('restore with read-back', { ours: checked, theirs, target: '1.3' }, start)
}

async function checks(start) {
  const set = at('none', 0)
  const files = (await readdir(set)).map((name) => join(set, name))
  const bytes = await sizeOf(set)
  const costs = await alternate(
    {
      hash: () => timed('sha256sum', files),
      verify: () => snap('verify', '--quiet', '--no-record', set),
      deep: () => snap('verify', '--quiet', '--no-record', '--deep', set),
    },
    TIMES,
  )
  const { hash, verify, deep } = costs
  report('verify, against sha256sum', { ours: verify, theirs: hash, target: '1.67' }, start)
  report('verify --deep', { ours: deep, target: '' }, start)
  return { bytes, deep: deep.seconds - start.seconds }
}

const server = await startInfluxd(options.influxd, at('influxd'))
try {
  const values = await load(server, Number(options.days))
  const { start } = await alternate({ start: () => snap('--version') }, TIMES + 2)
  await backups(server, start)
  const { bytes, deep } = await checks(start)
  await restores(server, start)
  console.log(`${values} values, ${(bytes / 1e6).toFixed(0)} MB of TSM, ${options.days} shards`)
  console.log(`verify --deep: ${(values / deep / 1e6).toFixed(1)} million values a second\n`)
  const titles = ['', 'snap s', 'other s', 'ratio', 'target', 'snap CPU', 'other CPU', 'MiB']
  printTable(titles, rows)
  console.log(
    `\nmedians of ${TIMES} runs, start-up of ${start.seconds.toFixed(2)} s taken off; ${machine()}`,
  )
} finally {
  await server.stop()
  await rm(root, { recursive: true, force: true })
}
