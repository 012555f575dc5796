// How time and memory grow: with the data, and with the number of shards.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openContext } from './context.mjs'
import { machine, printTable, without } from './measure.mjs'

const SHARDS = [10, 100, 1000]
/** Parts of the data. */
const PARTS = [1 / 16, 1 / 4, 1]

/** Prints two tables: the same work on 1, 4 and 16 times the data in as many shards, and on shards of an hour, 10 to 1,000. */
export async function growth(options, { hosts, hours, seed }) {
  const bySize = PARTS.map((part) => ({ hosts, seed, hours: hours * part, shards: 20 }))
  await table(options, { sizes: bySize, unitOf: ({ values }) => values / 1e6, unit: 'M values' })
  const byShards = SHARDS.map((shards) => ({ hosts, seed, hours: shards, shards }))
  await table(options, { sizes: byShards, unitOf: ({ shards }) => shards, unit: 'shards' })
  console.log(machine())
}

async function table(options, { sizes, unitOf, unit }) {
  const columns = []
  for (const data of sizes) columns.push(await column({ ...options, data }))
  const units = columns.map(({ data }) => unitOf(data))
  const names = Object.keys(columns[0].costs)
  const titles = units.map((count) => `${count.toFixed(0)} ${unit}`)
  printTable(
    [
      'time of each unit',
      ...titles.map((title) => `${title}, s`),
      ...titles.slice(1),
      'MiB',
      '',
      '',
    ],
    names.map((name) => {
      const costs = columns.map((one) => one.costs[name])
      const seconds = costs.map((cost, i) => without(columns[i].startUp, cost).seconds)
      const each = seconds.map((time, i) => time / (units[i] ?? 1))
      return [
        name,
        ...seconds.map((time) => time.toFixed(2)),
        ...each.slice(1).map((time) => (time / (each[0] ?? 1)).toFixed(2)),
        ...costs.map(({ memory }) => memory.toFixed(0)),
      ]
    }),
  )
  console.log('')
}

/** What the works cost at one size. */
async function column(options) {
  const context = await openContext(options)
  try {
    options.say(`${(context.data.bytes / 1e6).toFixed(0)} MB in ${context.data.shards} shards`)
    const works = await worksOf(context)
    return { ...context, costs: await context.alternate(works) }
  } finally {
    await context.close()
  }
}

async function worksOf({ snap, stock, at, data, server, setOf }) {
  const { host } = await server()
  const from = ['--quiet', '--data-dir', join(data.folder, 'data')]
  const [gzip, none] = [await setOf('gzip'), await setOf('none')]
  /** Removes what a run has made. */
  const made = (run) => async () => {
    const cost = await run(at('made'))
    await rm(at('made'), { recursive: true, force: true })
    return cost
  }
  const full = ['backup', '--quiet', '--host', host]
  const restored = (folder) => ['--data-dir', join(folder, 'data')]
  return {
    'influxd backup -portable': made((to) => stock(['backup', '-portable', '-host', host, to])),
    backup: made((to) => snap([...full, to])),
    'backup, stored, no fingerprints': made((to) =>
      snap([...full, '--compression', 'none', '--fingerprint', 'off', to]),
    ),
    'backup --incremental, nothing changed': () => snap(['backup', '--incremental', ...from, gzip]),
    list: () => snap(['list', gzip]),
    'verify --deep': () => snap(['verify', '--quiet', '--no-record', '--deep', none]),
    'restore into a directory': made((to) => snap(['restore', '--quiet', ...restored(to), gzip])),
    'export --format lp': made((to) => snap(['export', '--format', 'lp', ...from, to])),
  }
}
