// Every figure of docs/performance.md, side by side with the stock tool, in turns, and how they grow.
//
//   npm run build && npm run bench [-- --only backup,verify --times 5 --days 112]
//   npm run bench -- --growth [--only data --works backup]
//   npm run bench -- --only memory [--works verify,merge]
//   npm run bench -- --only many-memory [--works verify]
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { backup } from './backup.mjs'
import { hasIgzip, openContext } from './context.mjs'
import { exportText } from './export.mjs'
import { growthOfData, growthOfShards } from './growth.mjs'
import { findInfluxd } from './helpers.mjs'
import { incremental } from './incremental.mjs'
import { many, manyMemory } from './many.mjs'
import { machine, printRows } from './measure.mjs'
import { memory } from './memory.mjs'
import { range } from './range.mjs'
import { restore } from './restore.mjs'
import { restoreDirectory } from './restore-directory.mjs'
import { s3 } from './s3.mjs'
import { serve } from './serve.mjs'
import { startUp } from './start-up.mjs'
import { verify } from './verify.mjs'

/** In this order; each returns rows. */
const BENCHMARKS = {
  'start-up': startUp,
  backup,
  incremental,
  restore,
  'restore-directory': restoreDirectory,
  verify,
  export: exportText,
  range,
  serve,
  many,
  s3,
  memory,
  'many-memory': manyMemory,
}

/** Not done unless it is named, as it takes half an hour. */
const ON_REQUEST = ['many-memory']

/** Each prints a table of its own. */
const GROWTH = { data: growthOfData, shards: growthOfShards }

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    growth: { type: 'boolean', default: false },
    times: { type: 'string', default: '3' },
    days: { type: 'string', default: '28' },
    hosts: { type: 'string', default: '100' },
    shards: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    works: { type: 'string' },
    'max-shards': { type: 'string', default: '1000' },
    'many-shards': { type: 'string', default: '10000' },
    cache: { type: 'string', default: join(homedir(), '.cache/influx-snap-bench') },
    influxd: { type: 'string' },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
  },
})

const choice = Object.keys(options.growth ? GROWTH : BENCHMARKS)
const names = options.only?.split(',') ?? choice.filter((name) => !ON_REQUEST.includes(name))
const unknown = names.find((name) => !choice.includes(name))
if (unknown !== undefined) throw new Error(`--only ${unknown}: expected ${choice.join(', ')}`)
const say = (text) => console.error(text)
const [times, hosts, shards, seed] = ['times', 'hosts', 'shards', 'seed'].map((name) =>
  Number(options[name]),
)
const hours = Number(options.days) * 24
const influxd = options.influxd ?? (await findInfluxd())
const { cache, markdown, works } = options
const common = { influxd, times, cache, markdown, works, say }

if (options.growth) {
  const size = { hosts, hours, seed, maxShards: Number(options['max-shards']) }
  for (const name of names) await GROWTH[name](common, size)
  console.log(machine())
} else {
  const context = await openContext({ ...common, data: { hosts, hours, shards, seed } })
  try {
    await runAll({ ...context, works, manyShards: Number(options['many-shards']) })
  } finally {
    await context.close()
  }
}

async function runAll(context) {
  const rows = []
  for (const name of names) {
    const begun = performance.now()
    rows.push(...(await BENCHMARKS[name](context)))
    say(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  }
  if (options.json) console.log(JSON.stringify(rows))
  else printAll(context, rows)
}

function printAll({ data, startUp: start }, rows) {
  const { values, bytes, shards } = data
  const size = `${(values / 1e6).toFixed(1)} million values, ${(bytes / 1e6).toFixed(0)} MB of TSM`
  console.log(`${size} in ${shards} shards; medians of ${times} runs in turns\n`)
  printRows(rows, options)
  const memory = Math.max(...rows.map(({ ours }) => ours?.memory ?? 0))
  console.log(`\nstart-up of ${start.toFixed(2)} s is taken off our times where they are compared`)
  console.log(`most memory of all: ${memory.toFixed(0)} MiB; ${hasIgzip() ? 'with' : 'no'} igzip`)
  console.log(machine())
}
