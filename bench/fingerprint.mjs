// How fast points are summed up in a fingerprint, side by side with decoding alone, with a SHA-256 of the same columns, and
// with what checking a TSM file costs without looking at its points.
//
//   npm run build && node bench/fingerprint.mjs [FILE.tsm]
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { bytesAccess } from '../dist/io/random-access.js'
import { decodeBlock, encodeBlock } from '../dist/tsm/block.js'
import { PointSum } from '../dist/tsm/fingerprint.js'
import { MeasurementSums } from '../dist/tsm/measurement-sums.js'
import { openTsm } from '../dist/tsm/reader.js'
import { readTsm } from '../dist/tsm/sum-files.js'
import { stringColumn } from '../dist/tsm/values.js'

const POINTS = 1000
const MIN_MS = 1000
const KEY = Buffer.from('cpu,host=server01,region=eu-west#!~#usage_user')
const range = (value) => Array.from({ length: POINTS }, (_, i) => value(i))

const times = BigInt64Array.from(
  range((i) => 1_700_000_000_000_000_000n + BigInt(i) * 10_000_000_000n),
)
const blocks = {
  float: Float64Array.from(range((i) => Math.round(Math.sin(i / 10) * 1000) / 10)),
  integer: BigInt64Array.from(range((i) => BigInt((i * 37) % 1000))),
  boolean: Uint8Array.from(range((i) => (i % 3 === 0 ? 1 : 0))),
  string: stringColumn(
    range((i) => Buffer.from(`request ${i} of host-${i % 50} took ${i * 3} ms`)),
  ),
}

/** Runs `work` for a second after warming up; returns how often it ran in a second. */
function rate(work) {
  for (let i = 0; i < 2000; i++) work()
  let runs = 0
  const start = performance.now()
  while (performance.now() - start < MIN_MS) {
    for (let i = 0; i < 100; i++) work()
    runs += 100
  }
  return (runs / (performance.now() - start)) * 1000
}

const millions = (perSecond) => `${((perSecond * POINTS) / 1e6).toFixed(0).padStart(8)}`

console.log('million values a second')
console.log('             sum    decode  and sum   in one   sha256')
for (const [type, values] of Object.entries(blocks)) {
  const block = { type, times, values }
  const encoded = encodeBlock(block)
  const span = { minTime: times[0], maxTime: times.at(-1) }
  const sum = new PointSum()
  const add = (points) => {
    sum.begin(KEY, type)
    sum.add(points)
  }
  const hash = () => {
    const bytes = type === 'string' ? values.bytes : values
    createHash('sha256').update(times).update(bytes).digest()
  }
  const rates = [
    rate(() => add(block)),
    rate(() => decodeBlock(encoded)),
    rate(() => add(decodeBlock(encoded))),
    rate(() => {
      sum.begin(KEY, type)
      if (!sum.addEncoded(encoded, span)) sum.add(decodeBlock(encoded))
    }),
    rate(hash),
  ]
  console.log(type.padEnd(8), rates.map(millions).join(' '))
}

const [path] = process.argv.slice(2)
if (path !== undefined) {
  const bytes = await readFile(path)
  for (const [name, makeSums] of [
    ['index and checksums', () => undefined],
    ['and every point', () => new MeasurementSums()],
  ]) {
    const start = performance.now()
    const sums = makeSums()
    const { blocks: count } = await readTsm(await openTsm(bytesAccess(bytes, path)), sums)
    const seconds = (performance.now() - start) / 1000
    const points =
      sums === undefined
        ? ''
        : `, ${(sums.totals().all.points / 1e6 / seconds).toFixed(0)} M values/s`
    console.log(
      `${name}: ${count} blocks, ${(bytes.length / 2 ** 20 / seconds).toFixed(0)} MiB/s${points}`,
    )
  }
}
