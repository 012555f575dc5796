// How time and memory grow: with the data, and with the number of shards.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chosenWorks, openContext } from './context.mjs'
import { printTable, without } from './measure.mjs'

/** Parts of the data. */
const PARTS = [1 / 16, 1 / 4, 1]
/** A number of shards that divides the hours of four weeks by 16. */
const SHARDS = 14
/** Parts of the most shards. */
const SHARD_PARTS = [1 / 100, 1 / 10, 1]

/** Prints a table of the same work on 1, 4 and 16 times the data, in as many shards. */
export async function growthOfData(options, { hosts, hours, seed }) {
  const sizes = PARTS.map((part) => ({ hosts, seed, hours: hours * part, shards: SHARDS }))
  await table(options, { sizes, unitOf: ({ values }) => values / 1e6, unit: 'M values' })
}

/** Prints a table of the same work on 1, 10 and 100 times as many shards of an hour each. */
export async function growthOfShards(options, { hosts, seed, maxShards }) {
  const sizes = SHARD_PARTS.map((part) => {
    const shards = Math.max(1, maxShards * part)
    return { hosts, seed, hours: shards, shards }
  })
  await table(options, { sizes, unitOf: ({ shards }) => shards, unit: 'shards' })
}

/** Prints the seconds of each work, how many times as long it takes for each unit as in the first column, and MiB. */
async function table(options, { sizes, unitOf, unit }) {
  const columns = []
  for (const data of sizes) columns.push(await column({ ...options, data }))
  const units = columns.map(({ data }) => unitOf(data))
  const larger = units.map((count) => `${(count / units[0]).toFixed(0)}×`)
  const titles = [
    ...units.map((count) => `s at ${count.toFixed(count < 10 ? 1 : 0)} ${unit}`),
    ...larger.slice(1).map((times) => `a unit at ${times}`),
    ...larger.map((times) => `MiB at ${times}`),
  ]
  const names = Object.keys(columns[0].costs)
  printTable(
    ['', ...titles],
    names.map((name) => {
      const costs = columns.map((one) => one.costs[name])
      const each = costs.map(({ seconds }, i) => seconds / units[i])
      return [
        name,
        ...costs.map(({ seconds }) => seconds.toFixed(2)),
        ...each.slice(1).map((time) => (time / each[0]).toFixed(2)),
        ...costs.map(({ memory = 0 }) => memory.toFixed(0)),
      ]
    }),
    options,
  )
  console.log('')
}

/** What the works cost at one size. */
async function column(options) {
  const context = await openContext(options)
  try {
    options.say(`${(context.data.bytes / 1e6).toFixed(0)} MB in ${context.data.shards} shards`)
    const works = chosenWorks(worksOf(context), options.works)
    const costs = await context.alternate(works)
    for (const [name, cost] of Object.entries(costs)) {
      if (!name.startsWith('influxd')) costs[name] = without(context.startUp, cost)
    }
    return { data: context.data, costs }
  } finally {
    await context.close()
  }
}

function worksOf({ snap, stock, at, data, server, setOf }) {
  const from = ['--quiet', '--data-dir', join(data.folder, 'data')]
  /** Removes what a run has made. */
  const made = (run) => async () => {
    const cost = await run(at('made'))
    await rm(at('made'), { recursive: true, force: true })
    return cost
  }
  const host = async () => (await server()).host
  const full = async (...words) =>
    await snap(['backup', '--quiet', '--host', await host(), ...words])
  const deep = ['verify', '--quiet', '--no-record', '--deep']
  const into = (folder) => ['restore', '--quiet', '--data-dir', join(folder, 'data')]
  return {
    'influxd backup -portable': made(async (to) =>
      stock(['backup', '-portable', '-host', await host(), to]),
    ),
    backup: made((to) => full(to)),
    'backup, stored, no fingerprints': made((to) =>
      full('--compression', 'none', '--fingerprint', 'off', to),
    ),
    'backup --incremental, nothing changed': async () =>
      await snap(['backup', '--incremental', ...from, await setOf('gzip')]),
    list: async () => await snap(['list', await setOf('gzip')]),
    'verify --deep': async () => await snap([...deep, await setOf('none')]),
    'restore into a directory': made(async (to) => snap([...into(to), await setOf('gzip')])),
    'export --format lp': made((to) => snap(['export', '--format', 'lp', ...from, to])),
    'export --format lp to nowhere': () => snap(['export', '--format', 'lp', ...from, '-']),
  }
}
