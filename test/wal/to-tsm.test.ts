import { readdir } from 'node:fs/promises'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { bytesAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { walToTsm } from '../../src/wal/to-tsm.ts'
import { tempDir } from '../helpers/temp.ts'
import { deleteEntry, deleteRangeEntry, type Sample, type WriteRow, writeEntry } from './encode.ts'
import { readTsm, sampleArbitrary, TYPES, timeArbitrary } from './samples.ts'

const MIN = -(2n ** 63n)
const MAX = 2n ** 63n - 1n
const GENERATION = 12

interface Options {
  readonly memoryBudget?: number
  readonly signal?: AbortSignal
}

function segments(...bytes: readonly Uint8Array[]): RandomAccess[] {
  return bytes.map((part, index) => bytesAccess(part, `_0000${index + 1}.wal`))
}

/** Converts and reads back: points by key, in order of key; the report; the names of the files. */
async function convert(wal: readonly RandomAccess[], options: Options = {}) {
  const folder = await tempDir('wal')
  const { files, report } = await walToTsm(wal, {
    generation: GENERATION,
    tempDir: folder,
    ...options,
  })
  const keys: [string, Sample][] = []
  for (const { source } of files) keys.push(...(await readTsm(source)))
  expect(await readdir(folder)).toEqual([])
  return { keys, report, files }
}

function float(key: string, ...points: (readonly [bigint, number])[]): WriteRow {
  return { key, type: 'float', points }
}

describe('walToTsm', () => {
  it('sorts by key, then time, and of equal times keeps the last', async () => {
    const one = writeEntry(float('b', [3n, 1], [1n, 1], [3n, 2]), float('a\u00e9', [1n, 1]))
    const two = writeEntry(float('b', [1n, 3], [2n, 3]), float('a', [5n, 5]))
    const { keys, report, files } = await convert(segments(one, two))
    expect(keys).toEqual([
      ['a', { type: 'float', points: [[5n, 5]] }],
      ['a\u00e9', { type: 'float', points: [[1n, 1]] }],
      [
        'b',
        {
          type: 'float',
          points: [
            [1n, 3],
            [2n, 3],
            [3n, 2],
          ],
        },
      ],
    ])
    const nothing = { torn: [], lost: [], conflicts: { points: 0, key: undefined } }
    expect(report).toEqual({ entries: 2, points: 5, ...nothing })
    expect(files).toMatchObject([
      { name: '000000012-000000001.tsm', keys: 3, minTime: 1n, maxTime: 5n },
    ])
    expect(files[0]?.size).toBe(files[0]?.source.size)
  })

  it('makes no file of no points', async () => {
    expect((await convert([])).files).toEqual([])
    const emptied = Buffer.concat([writeEntry(float('a', [1n, 1])), deleteEntry('a')])
    const { files, report } = await convert(segments(emptied))
    expect(files).toEqual([])
    expect(report).toMatchObject({ entries: 2, points: 0 })
  })

  it('applies deletes to what came before them', async () => {
    const wal = Buffer.concat([
      writeEntry(
        float('a', [1n, 1], [2n, 2], [3n, 3], [4n, 4]),
        float('b', [1n, 1]),
        float('c', [1n, 1]),
      ),
      deleteRangeEntry(2n, 3n, 'a', 'c', 'unknown'),
      deleteEntry('b'),
      deleteRangeEntry(9n, 0n, 'a'),
      writeEntry(float('a', [3n, 30]), float('b', [2n, 2])),
      deleteRangeEntry(MIN, 1n, 'c'),
    ])
    const { keys } = await convert(segments(wal))
    expect(keys).toEqual([
      [
        'a',
        {
          type: 'float',
          points: [
            [1n, 1],
            [3n, 30],
            [4n, 4],
          ],
        },
      ],
      ['b', { type: 'float', points: [[2n, 2]] }],
    ])
  })

  it('of a key twice in one entry keeps the second values, as influxd does', async () => {
    const entry = writeEntry(float('a', [1n, 1], [2n, 2]), float('a', [3n, 3]))
    const { keys } = await convert(segments(entry))
    expect(keys).toEqual([['a', { type: 'float', points: [[3n, 3]] }]])
  })

  it('passes over points without a key', async () => {
    const { keys } = await convert(segments(writeEntry(float('', [1n, 1]), float('a', [1n, 1]))))
    expect(keys.map(([key]) => key)).toEqual(['a'])
  })

  it.each([undefined, 1])(
    'lets the newest type of a key stand and counts the others (budget %s)',
    async (memoryBudget) => {
      const wal = [
        writeEntry(float('a', [1n, 1], [2n, 2], [3n, 3]), float('b', [1n, 1])),
        deleteRangeEntry(1n, 1n, 'a', 'b'),
        writeEntry({ key: 'b', type: 'integer', points: [[1n, 1n]] }),
        writeEntry({ key: 'a', type: 'integer', points: [[9n, 9n]] }),
        writeEntry({ key: 'a', type: 'boolean', points: [[4n, true]] }),
      ]
      const options = memoryBudget === undefined ? {} : { memoryBudget }
      const { keys, report } = await convert(segments(Buffer.concat(wal)), options)
      expect(keys).toEqual([
        ['a', { type: 'boolean', points: [[4n, true]] }],
        ['b', { type: 'integer', points: [[1n, 1n]] }],
      ])
      expect(report.conflicts).toEqual({ points: 3, key: 'a' })
    },
  )

  it('says what is lost: a corrupt entry anywhere, a torn one that is not at the end', async () => {
    const good = writeEntry(float('a', [1n, 1]))
    const [torn, bad] = [good.subarray(0, -1), Buffer.from('0900000000', 'hex')]
    const holed = Buffer.concat([Buffer.alloc(7), writeEntry(float('b', [1n, 1]))])
    const wal = segments(
      Buffer.concat([good, torn]),
      Buffer.concat([good, bad, good]),
      Buffer.concat([holed, torn]),
    )
    const { keys, report } = await convert(wal)
    expect(keys.map(([key]) => key)).toEqual(['a', 'b'])
    expect(report).toMatchObject({
      entries: 3,
      lost: [
        { segment: '_00001.wal', kind: 'torn', offset: good.length, bytes: torn.length },
        { segment: '_00002.wal', kind: 'corrupt', offset: good.length, bytes: 5 + good.length },
      ],
      torn: [
        { segment: '_00003.wal', kind: 'hole', offset: 0, bytes: 7 },
        { segment: '_00003.wal', kind: 'torn', offset: holed.length, bytes: torn.length },
      ],
    })
  })

  it('fills blocks of 1,000 points, whatever the size of writes and runs', async () => {
    const points = Array.from({ length: 20_500 }, (_, index) => [BigInt(index), index] as const)
    const text = points.map(([time]) => [time, 'x'.repeat(400)] as const)
    const entries = Array.from({ length: 41 }, (_, index) => {
      const [from, to] = [index * 500, (index + 1) * 500]
      const strings = { key: 's', type: 'string', points: text.slice(from, to) } as const
      return writeEntry({ key: 'f', type: 'float', points: points.slice(from, to) }, strings)
    })
    for (const memoryBudget of [1, 1_000_000, 1_000_000_000]) {
      const { keys, files } = await convert(segments(...entries), { memoryBudget })
      expect(keys).toEqual([
        ['f', { type: 'float', points }],
        ['s', { type: 'string', points: text }],
      ])
      expect(files[0]?.blocks).toBe(42)
    }
  })

  it('holds many keys at once', async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `m,host=${9999 - index}#!~#v`)
    const rows = names.map((name, index) => float(name, [BigInt(index), index]))
    const { keys } = await convert(segments(writeEntry(...rows), writeEntry(...rows.slice(5))))
    expect(keys).toEqual(rows.map(({ key, ...sample }) => [key, sample]).reverse())
  })

  it('stops at its signal and leaves nothing', async () => {
    const folder = await tempDir('wal')
    const signal = AbortSignal.abort(new Error('enough'))
    const wal = segments(writeEntry(float('a', [1n, 1])))
    const options = { generation: 1, tempDir: folder, signal }
    await expect(walToTsm(wal, options)).rejects.toThrow('enough')
    expect(await readdir(folder)).toEqual([])
  })

  it('says which directory cannot hold its temporary files', async () => {
    const options = { generation: 1, tempDir: '/nowhere', memoryBudget: 1 }
    const wal = segments(writeEntry(float('a', [1n, 1])))
    await expect(walToTsm(wal, options)).rejects.toMatchObject({ code: 'E_DESTINATION' })
  })
})

type Step =
  | { readonly write: readonly WriteRow[] }
  | { readonly remove: readonly string[]; readonly min: bigint; readonly max: bigint }

const KEYS = ['a', 'b', 'b,t=1', 'z', '\u00e9'] as const

/** Every key has one type, as in influxd. */
const typesArbitrary = fc.tuple(...KEYS.map(() => fc.constantFrom(...TYPES)))

const stepsArbitrary = typesArbitrary.chain((types) => {
  const rows = KEYS.map((key, index) =>
    sampleArbitrary(types[index] ?? 'float').map((sample): WriteRow => ({ key, ...sample })),
  )
  const write = fc.tuple(...rows).chain((all) => fc.subarray(all, { minLength: 1 }))
  const remove = fc.record({
    remove: fc.subarray([...KEYS, 'unknown']),
    min: fc.oneof(timeArbitrary, fc.constant(MIN)),
    max: fc.oneof(timeArbitrary, fc.constant(MAX)),
  })
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: write.map((write) => ({ write })) },
    { weight: 1, arbitrary: remove },
  )
  return fc.array(step, { maxLength: 12 })
})

function model(steps: readonly Step[]): [string, Sample][] {
  const types = new Map<string, Sample['type']>()
  const values = new Map<string, Map<bigint, unknown>>(KEYS.map((key) => [key, new Map()]))
  for (const step of steps) {
    if ('write' in step) {
      for (const { key, type, points } of step.write) {
        types.set(key, type)
        for (const [time, value] of points) values.get(key)?.set(time, value)
      }
      continue
    }
    for (const key of step.remove) {
      for (const time of values.get(key)?.keys() ?? []) {
        if (time >= step.min && time <= step.max) values.get(key)?.delete(time)
      }
    }
  }
  return KEYS.flatMap((key): [string, Sample][] => {
    const points = [...(values.get(key) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))
    const sample = { type: types.get(key), points } as Sample
    return points.length === 0 ? [] : [[key, sample]]
  })
}

function encodeStep(step: Step): Buffer {
  if ('write' in step) return writeEntry(...step.write)
  if (step.min === MIN && step.max === MAX) return deleteEntry(...step.remove)
  return deleteRangeEntry(step.min, step.max, ...step.remove)
}

const SLOW = process.env.SLOW === '1'
const numRuns = SLOW ? 5000 : 100

describe('walToTsm against a map', () => {
  test.prop([stepsArbitrary, fc.constantFrom(1, 300, 600, 2000, 1e9), fc.nat(12)], { numRuns })(
    'gives what is left after every write and delete, however little memory it has',
    async (steps, memoryBudget, cut) => {
      const encoded = steps.map(encodeStep)
      const wal = [encoded.slice(0, cut), encoded.slice(cut)].map((part) => Buffer.concat(part))
      const { keys, report } = await convert(segments(...wal), { memoryBudget })
      expect(keys).toEqual(model(steps))
      expect(report).toMatchObject({ entries: steps.length, conflicts: { points: 0 } })
    },
    SLOW ? 600_000 : undefined,
  )

  test.prop([fc.infiniteStream(fc.nat(999_983))], { numRuns: SLOW ? 100 : 2 })(
    'gives the same of runs that overlap over many chunks',
    async (numbers) => {
      const next = () => numbers.next().value ?? 0
      const steps = Array.from({ length: 24 }, (_, round): Step => {
        const start = next() % 20_000
        const width = BigInt(1 + (next() % 9))
        const time = (index: number) => BigInt(start) + BigInt(index) * width
        if (round % 4 === 3) return { remove: ['a'], min: time(0), max: time(next() % 5000) }
        const count = 1 + (next() % 9000)
        const points = Array.from({ length: count }, (_, index) => {
          return [time((index * 7919) % count), BigInt(round)] as const
        })
        return { write: [{ key: 'a', type: 'integer', points }] }
      })
      const wal = segments(Buffer.concat(steps.map(encodeStep)))
      for (const memoryBudget of [1, 500_000, 1e9]) {
        expect((await convert(wal, { memoryBudget })).keys).toEqual(model(steps))
      }
    },
    SLOW ? 600_000 : undefined,
  )
})
