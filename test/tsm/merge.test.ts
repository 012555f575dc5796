import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { TombstoneSet } from '../../src/tsm/tombstone-set.ts'
import { MAX_TIME, MIN_TIME } from '../../src/tsm/values.ts'
import { blockOf, runs, someTimes, TYPES } from './arbitraries.ts'
import { all, openBytes, tsmBytes } from './files.ts'
import { collect, type Value, valueAt } from './fixtures.ts'

const KEYS = ['a', 'b', 'c']
const time = fc.bigInt(-220n, 220n)

// a file: for some keys points, cut into blocks of `size`; and its own tombstones
const file = fc.record({
  columns: fc.array(fc.tuple(fc.constantFrom(...KEYS), someTimes(50)), {
    minLength: 1,
    maxLength: 3,
  }),
  size: fc.integer({ min: 1, max: 30 }),
  tombstones: fc.array(fc.tuple(fc.constantFrom(...KEYS), time, time), { maxLength: 2 }),
})

test.prop(
  {
    files: fc.array(file, { minLength: 1, maxLength: 5 }),
    type: fc.constantFrom(...TYPES),
    start: fc.option(time, { nil: undefined }),
    end: fc.option(time, { nil: undefined }),
    unwanted: fc.constantFrom('', 'b'),
  },
  runs(200),
)(
  'the last file wins, and its own tombstones apply',
  async ({ files, type, start, end, unwanted }) => {
    const expected = new Map<string, Value>()
    const sources = []
    for (const [rank, { columns, size, tombstones }] of files.entries()) {
      const set = new TombstoneSet()
      for (const [key, minTime, maxTime] of tombstones)
        set.add({ key: Buffer.from(key), minTime, maxTime })
      const keys = [...new Map(columns)].sort(([a], [b]) => (a < b ? -1 : 1))
      const written = keys.map(([key, times]) => {
        const parts = Array.from({ length: Math.ceil(times.length / size) }, (_, i) =>
          blockOf(type, times.slice(i * size, (i + 1) * size), rank * 100 + i),
        )
        for (const block of key === unwanted ? [] : parts) {
          block.times.forEach((t, i) => {
            const gone = tombstones.some(([name, min, max]) => name === key && min <= t && t <= max)
            const outside = t < (start ?? MIN_TIME) || t > (end ?? MAX_TIME)
            if (!gone && !outside) expected.set(`${key} ${t}`, valueAt(block, i))
          })
        }
        return [key, parts] as const
      })
      sources.push({ file: await openBytes(await tsmBytes(written)), tombstones: set })
    }
    const keepKey = (key: Uint8Array) => Buffer.from(key).toString() !== unwanted
    const points = await collect(mergeTsm(sources, { start, end, keepKey }))
    expect(points).toEqual(expected)
    // keys and times come in order
    let before = ['', MIN_TIME] as [string, bigint]
    for await (const { key, blocks } of mergeTsm(sources, { start, end, keepKey })) {
      const name = Buffer.from(key).toString()
      expect(name > before[0]).toBe(true)
      before = [name, MIN_TIME]
      for await (const { times } of blocks) {
        for (const t of times) {
          expect(t >= before[1]).toBe(true)
          before = [name, t + 1n]
        }
      }
    }
  },
)

describe('merging', () => {
  const open = async (key: string, ...lists: bigint[][]) =>
    openBytes(await tsmBytes([[key, lists.map((times) => blockOf('integer', times, 1))]]))

  it('of no files is nothing', async () => {
    expect(await all(mergeTsm([]))).toEqual([])
  })

  it('takes files whose own blocks overlap: of those the later block wins', async () => {
    const { file } = { file: await open('k', [1n, 5n, 9n], [4n, 5n]) }
    const points = await collect(mergeTsm([{ file }]))
    expect([...points.keys()]).toEqual(['k 1', 'k 4', 'k 5', 'k 9'])
    expect(points.get('k 5')).toBe(valueAt(blockOf('integer', [4n, 5n], 1), 1))
  })

  it('refuses a field of two types', async () => {
    const other = await openBytes(
      await tsmBytes([['k', [blockOf('float', [1n], 1)]]]),
      'second.tsm',
    )
    const sources = [{ file: await open('k', [1n]) }, { file: other }]
    await expect(all(mergeTsm(sources))).rejects.toThrow(
      'second.tsm: field k is float here, integer',
    )
  })

  it('lets go of its files when nobody reads on', async () => {
    const source = await open('k', [1n])
    for await (const { key, blocks } of mergeTsm([{ file: source }])) {
      expect(key.length).toBe(1)
      expect(await blocks.return(undefined)).toMatchObject({ done: true })
      break
    }
  })
})
