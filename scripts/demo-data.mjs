// Makes a sample data directory of an InfluxDB 1.x, the same every time:
//
//   node scripts/demo-data.mjs DIR
//
// DIR gets data, wal and meta as an influxd that was stopped leaves them. Databases, a deleted hour and points that are
// in the WAL alone were written by an influxd (test/fixtures/demo); the bulk is written here.
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatCompositeKey, formatSeriesKey } from '../dist/tsm/series-key.js'
import { TsmWriter } from '../dist/tsm/writer.js'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
/** 2024-06-01T00:00:00Z, seconds. */
const JUNE = 1_717_200_000
const DAY = 86_400
/** Behind the files of influxd. */
const FILE_NAME = '000000002-000000001.tsm'

/** Writes the sample data directory. `dir` must be empty or not there. */
export async function makeSampleData(dir) {
  await mkdir(dir, { recursive: true })
  if ((await readdir(dir)).length > 0) throw new Error(`${dir} is not empty`)
  for (const part of ['data', 'wal', 'meta']) {
    await cp(join(ROOT, 'test/fixtures/demo', part), join(dir, part), { recursive: true })
  }
  const shards = join(dir, 'data/telegraf/autogen')
  for (const day of [0, 1, 2]) await writeShard(join(shards, String(day + 1)), JUNE + day * DAY)
}

/** Four hosts for a day, every ten seconds. */
async function writeShard(shard, start) {
  const times = BigInt64Array.from({ length: DAY / 10 }, (_, i) => nanoseconds(start + i * 10))
  const columns = ['app1', 'app2', 'app3', 'app4'].flatMap((host, i) => [
    { key: keyOf('cpu', host, 'usage_system'), block: floats(times, i + 1, 5) },
    { key: keyOf('cpu', host, 'usage_user'), block: floats(times, i + 10, 40) },
    { key: keyOf('mem', host, 'used'), block: integers(times, i + 20) },
    { key: keyOf('service', host, 'up'), block: booleans(times, i + 30) },
  ])
  const chunks = []
  const writer = new TsmWriter(async (chunk) => void chunks.push(chunk))
  columns.sort((a, b) => Buffer.compare(a.key, b.key))
  for (const { key, block } of columns) await writer.writeValues(key, block)
  await writer.finish()
  await writeFile(join(shard, FILE_NAME), Buffer.concat(chunks))
}

function nanoseconds(seconds) {
  return BigInt(seconds) * 1_000_000_000n
}

function keyOf(measurement, host, field) {
  const tags = [{ key: Buffer.from('host'), value: Buffer.from(host) }]
  const seriesKey = formatSeriesKey({ measurement: Buffer.from(measurement), tags })
  return formatCompositeKey({ seriesKey, field: Buffer.from(field) })
}

/** A percentage with one digit that wanders around `middle`. */
function floats(times, seed, middle) {
  const random = randomFrom(seed)
  let value = middle
  const values = Float64Array.from(times, () => {
    value += (random() - 0.5) * 2 + (middle - value) / 100
    return Math.round(Math.min(Math.max(value, 0), 100) * 10) / 10
  })
  return { type: 'float', times, values }
}

/** Bytes in use, in pages. */
function integers(times, seed) {
  const random = randomFrom(seed)
  let pages = 500_000
  const values = BigInt64Array.from(times, () => {
    pages += Math.floor(random() * 201) - 100
    return BigInt(pages * 4096)
  })
  return { type: 'integer', times, values }
}

/** Up but for one in a thousand. */
function booleans(times, seed) {
  const random = randomFrom(seed)
  return { type: 'boolean', times, values: Uint8Array.from(times, () => Number(random() > 0.001)) }
}

/** Numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const [, script, dir] = process.argv
if (script === fileURLToPath(import.meta.url)) {
  if (dir === undefined) throw new Error('usage: node scripts/demo-data.mjs DIR')
  await makeSampleData(dir)
}
