import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { filterBlock, mergeRanges, overlap, subtractRanges } from '../../src/tsm/time-ranges.ts'
import { MAX_TIME, MIN_TIME, type TimeRange } from '../../src/tsm/values.ts'
import { blockOf } from './arbitraries.ts'

const TIMES = Array.from({ length: 41 }, (_, i) => BigInt(i - 20))
const time = fc.bigInt(-20n, 20n)
const range = fc.tuple(time, time).map(([minTime, maxTime]) => ({ minTime, maxTime }))
const ranges = fc.array(range, { maxLength: 8 })

const inside = (list: readonly TimeRange[], t: bigint) =>
  list.some(({ minTime, maxTime }) => minTime <= t && t <= maxTime)

test.prop({ list: ranges })('merged ranges hold the same times, in order and apart', ({ list }) => {
  const merged = mergeRanges(list)
  for (const t of TIMES) expect(inside(merged, t)).toBe(inside(list, t))
  merged.slice(1).forEach((next, i) => {
    expect(next.minTime).toBeGreaterThan((merged[i]?.maxTime ?? 0n) + 1n)
  })
})

test.prop({ whole: range, drops: ranges })(
  'what is left is in the range and not dropped',
  ({ whole, drops }) => {
    const left = subtractRanges(whole, mergeRanges(drops))
    for (const t of TIMES) expect(inside(left, t)).toBe(inside([whole], t) && !inside(drops, t))
    expect(mergeRanges(left).length).toBe(left.length)
    const block = filterBlock(blockOf('integer', TIMES, 1), left)
    expect([...(block?.times ?? [])]).toEqual(TIMES.filter((t) => inside(left, t)))
  },
)

test.prop({ a: range, b: range })('ranges overlap if they have a time in common', ({ a, b }) => {
  const common = TIMES.some((t) => inside([a], t) && inside([b], t))
  if (a.minTime <= a.maxTime && b.minTime <= b.maxTime) expect(overlap(a, b)).toBe(common)
})

test('all of time can be dropped', () => {
  const all = { minTime: MIN_TIME, maxTime: MAX_TIME }
  expect(subtractRanges(all, [all])).toEqual([])
  expect(mergeRanges([all, { minTime: 1n, maxTime: 2n }])).toEqual([all])
  expect(subtractRanges(all, [{ minTime: 0n, maxTime: MAX_TIME }])).toEqual([
    { minTime: MIN_TIME, maxTime: -1n },
  ])
})
