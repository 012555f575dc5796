import { crc32 } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { formatFingerprint } from '../../src/tsm/fingerprint.ts'
import { type FieldType, fieldTypeCode } from '../../src/tsm/format.ts'
import {
  MAX_MEASUREMENTS,
  MeasurementSums,
  type PointTotals,
} from '../../src/tsm/measurement-sums.ts'
import { measurementOf, seriesOf } from '../../src/tsm/series-key.ts'
import { correctSums, needCorrection, readTsm, type ShardFile } from '../../src/tsm/sum-files.ts'
import { TombstoneSet } from '../../src/tsm/tombstone-set.ts'
import { type Block, sliceBlock } from '../../src/tsm/values.ts'
import { blockOf, runs, someTimes, TYPES } from './arbitraries.ts'
import { openBytes, tsmBytes } from './files.ts'
import { fingerprintOf, type Point, wordOf } from './reference/fingerprint.ts'

// two series of m, one of them without tags, one of a name that sorts between those two, and one of another
const SERIES = ['m', 'm$', 'm,t=a', 'n\\ o,t=a']
const KEYS = SERIES.flatMap((series) => ['f', 'g'].map((field) => `${series}#!~#${field}`)).sort()
const time = fc.bigInt(-220n, 220n)

const file = fc.record({
  columns: fc.array(fc.tuple(fc.constantFrom(...KEYS), someTimes(40)), { maxLength: 6 }),
  size: fc.integer({ min: 1, max: 30 }),
  tombstones: fc.array(fc.tuple(fc.constantFrom(...KEYS), time, time), { maxLength: 2 }),
})

interface SomeFile {
  readonly columns: readonly (readonly [string, bigint[]])[]
  readonly size: number
  readonly tombstones: readonly (readonly [string, bigint, bigint])[]
}

/** Writes the files, and says what points influxd would return of them. */
async function build(files: readonly SomeFile[], type: FieldType) {
  const points = new Map<string, Point>()
  const sources = []
  for (const [rank, { columns, size, tombstones }] of files.entries()) {
    const set = new TombstoneSet()
    for (const [key, minTime, maxTime] of tombstones) {
      set.add({ key: Buffer.from(key), minTime, maxTime })
    }
    const keys = [...new Map(columns)].sort(([a], [b]) => (a < b ? -1 : 1))
    if (keys.length === 0) continue
    const written = keys.map(([key, times], i) => {
      const whole = blockOf(type, times, rank * 100 + i)
      for (const [at, t] of times.entries()) {
        if (tombstones.some(([name, min, max]) => name === key && min <= t && t <= max)) continue
        const point = { key: Buffer.from(key), type: fieldTypeCode(type), time: t }
        points.set(`${key} ${t}`, { ...point, value: wordOf(whole, at) })
      }
      const parts = Array.from({ length: Math.ceil(times.length / size) }, (_, part) =>
        sliceBlock(whole, part * size, Math.min(times.length, (part + 1) * size)),
      )
      return [key, parts] as const
    })
    sources.push({ file: await openBytes(await tsmBytes(written)), tombstones: set })
  }
  return { sources, points: [...points.values()] }
}

function totalsOf(points: readonly Point[]) {
  if (points.length === 0) {
    return { series: 0, keys: 0, points: 0, range: undefined, fingerprint: '0'.repeat(32) }
  }
  const names = new Set(points.map(({ key }) => key.toString()))
  const times = points.map((point) => point.time).sort((a, b) => Number(a - b))
  return {
    series: new Set([...names].map((name) => name.split('#!~#')[0])).size,
    keys: names.size,
    points: points.length,
    range: { minTime: times[0], maxTime: times.at(-1) },
    fingerprint: fingerprintOf(points),
  }
}

const readable = ({ fingerprint, ...rest }: PointTotals) => ({
  ...rest,
  fingerprint: formatFingerprint(fingerprint),
})

async function sumUp(sources: Awaited<ReturnType<typeof build>>['sources']) {
  const sums = new MeasurementSums()
  const files: ShardFile[] = []
  for (const { file, tombstones } of sources) {
    const own = new MeasurementSums()
    files.push({ ...(await readTsm(file, own)), deletes: !tombstones.isEmpty })
    sums.join(own.totals())
  }
  const corrected = needCorrection(files)
  const problem = corrected ? await correctSums(sources, sums) : undefined
  return { ...sums.totals(), corrected, problem }
}

test.prop({ files: fc.array(file, { maxLength: 5 }), type: fc.constantFrom(...TYPES) }, runs(200))(
  'are those of the points that influxd would return, whatever the files',
  async ({ files, type }) => {
    const { sources, points } = await build(files, type)
    const { all, measurements, others, problem } = await sumUp(sources)
    expect(problem).toBeUndefined()
    expect(readable(all)).toEqual(totalsOf(points))
    const names = ['m', 'm$', 'n o']
    const expected = names.map((name) => ({
      measurement: name,
      ...totalsOf(points.filter(({ key }) => measurementOf(seriesOf(key)).toString() === name)),
    }))
    const found = measurements.map(({ measurement, ...totals }) => ({
      measurement: Buffer.from(measurement).toString(),
      ...readable(totals),
    }))
    expect(found).toEqual(expected.filter((totals) => totals.points > 0))
    expect(others).toBeUndefined()
  },
)

describe('files are read again', () => {
  const times = [1n, 2n, 3n]
  const lay = (...keys: (readonly string[])[]): SomeFile[] =>
    keys.map((names) => ({
      columns: names.map((name) => [name, times] as const),
      size: 10,
      tombstones: [],
    }))
  const isCorrected = async (files: readonly SomeFile[]) => {
    const { sources, points } = await build(files, 'float')
    const { corrected, all } = await sumUp(sources)
    expect(readable(all)).toEqual(totalsOf(points))
    return corrected
  }

  it('if they share keys, or the fields of a series', async () => {
    expect(await isCorrected(lay(['a#!~#f', 'c#!~#f'], ['b#!~#f']))).toBe(true)
    expect(await isCorrected(lay(['a#!~#f'], ['a#!~#g']))).toBe(true)
  })

  it('if something is deleted', async () => {
    const [one] = lay(['a#!~#f'])
    const deleting = { columns: [], size: 10, ...one, tombstones: [['b#!~#f', 1n, 2n]] as const }
    expect(await isCorrected([deleting])).toBe(true)
  })

  it('not if each has series of its own', async () => {
    expect(await isCorrected(lay(['b#!~#f', 'b#!~#g'], ['a#!~#f'], ['c#!~#f']))).toBe(false)
    expect(await isCorrected([])).toBe(false)
  })
})

describe('what cannot be exact', () => {
  it('a field of two types is said', async () => {
    const first = await build(
      [{ columns: [['a#!~#f', [1n, 2n]]], size: 9, tombstones: [] }],
      'float',
    )
    const other = await build([{ columns: [['a#!~#f', [2n]]], size: 9, tombstones: [] }], 'string')
    const { problem, all } = await sumUp([...first.sources, ...other.sources])
    expect(problem).toBe('test.tsm: field a#!~#f is string here, float in a file before')
    expect(all).toMatchObject({ points: 3, keys: 1, range: { minTime: 1n, maxTime: 2n } })
  })

  it('a block that does not decode is left out and said', async () => {
    const blocks = [blockOf('float', [1n, 2n], 1), blockOf('float', [5n, 6n], 1)]
    const bytes = await tsmBytes([['a#!~#f', blocks]])
    const source = await openBytes(bytes)
    const [key] = (await source.keys().next()).value
      ? [await source.find(Buffer.from('a#!~#f'))]
      : []
    const entry = key?.entries[1]
    if (entry === undefined) throw new Error('no second block')
    // another first time: still a block, with a CRC that is made right
    const at = entry.offset + 4 + 2 + 8
    bytes[at] = (bytes[at] ?? 0) ^ 1
    bytes.writeUInt32BE(
      crc32(bytes.subarray(entry.offset + 4, entry.offset + entry.size)),
      entry.offset,
    )
    const sums = new MeasurementSums()
    const { flaws, blocks: count } = await readTsm(await openBytes(bytes), sums)
    expect(count).toBe(2)
    expect(flaws).toEqual([expect.stringMatching(/^test\.tsm: block at offset \d+ of a#!~#f: /)])
    expect(sums.totals().all.points).toBe(2)
    expect((await readTsm(await openBytes(bytes))).flaws).toEqual([])
  })
})

describe('measurements', () => {
  const block: Block = blockOf('integer', [1n], 1)
  const name = (n: number) => `m${String(n).padStart(6, '0')}`
  const sumOf = (numbers: readonly number[]) => {
    const sums = new MeasurementSums()
    for (const n of numbers) {
      sums.begin(Buffer.from(`${name(n)}#!~#f`), 'integer')
      sums.cover({ minTime: 1n, maxTime: 1n })
      sums.add(block)
    }
    return sums.totals()
  }

  it('beyond the limit have one total, the same in whatever order they come', () => {
    const count = 3 * MAX_MEASUREMENTS + 17
    const ascending = Array.from({ length: count }, (_, i) => i)
    const scattered = ascending.map((i) => (i * 7919) % count)
    const totals = sumOf(ascending)
    expect(totals.measurements.length).toBe(MAX_MEASUREMENTS)
    expect(totals.measurements.at(-1)?.measurement).toEqual(
      Uint8Array.from(Buffer.from(name(MAX_MEASUREMENTS - 1))),
    )
    expect(totals.others).toMatchObject({ points: count - MAX_MEASUREMENTS, series: 20_017 })
    expect(totals.all).toMatchObject({ points: count, keys: count, series: count })
    expect(sumOf(scattered)).toEqual(totals)
    expect(sumOf(ascending.toReversed())).toEqual(totals)
    const joined = new MeasurementSums()
    // Each third of the names, so that all have more of them than are kept; and a few whose place comes late.
    const parts = [0, 1, 2].map((part) => scattered.filter((n) => n % 3 === part))
    for (const part of parts) joined.join(sumOf(part))
    expect(joined.totals()).toEqual(totals)
    joined.join(sumOf([5, count - 1]))
    expect(joined.totals().others).toMatchObject({ points: count - MAX_MEASUREMENTS + 1 })
  })

  it('may have names that are no text, or none', () => {
    const sums = new MeasurementSums()
    for (const key of [Buffer.from([0xff, 0x2c, 0x61]), Buffer.from(',a=b#!~#f')]) {
      sums.begin(key, 'integer')
      sums.cover({ minTime: 1n, maxTime: 1n })
    }
    expect(sums.totals().measurements.map(({ measurement }) => [...measurement])).toEqual([
      [],
      [0xff],
    ])
  })

  it('refuse points of no key', () => {
    expect(() => new MeasurementSums().add(block)).toThrow('before any key was begun')
  })
})
