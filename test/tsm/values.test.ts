import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import {
  type Block,
  MAX_TIME,
  MIN_TIME,
  rangeOf,
  searchTime,
  sliceBlock,
  sliceTimes,
} from '../../src/tsm/values.ts'
import { blockOf, someBlock } from './arbitraries.ts'
import { valueAt } from './fixtures.ts'

const points = (block: Block) =>
  Array.from(block.times, (time, i) => [time, valueAt(block, i)] as const)

test.prop({ block: someBlock(60), from: fc.nat({ max: 60 }), to: fc.nat({ max: 60 }) })(
  'slices any block by index',
  ({ block, from, to }) => {
    expect(points(sliceBlock(block, from, to))).toEqual(points(block).slice(from, to))
  },
)

test.prop({ block: someBlock(60), a: fc.bigInt(-220n, 220n), b: fc.bigInt(-220n, 220n) })(
  'slices any block by time',
  ({ block, a, b }) => {
    const inside = points(block).filter(([time]) => time >= a && time <= b)
    expect(points(sliceTimes(block, { minTime: a, maxTime: b }))).toEqual(inside)
    expect(searchTime(block.times, a)).toBe(block.times.filter((time) => time < a).length)
  },
)

it('slices up to the ends of time', () => {
  const block = blockOf('integer', [MIN_TIME, 0n, MAX_TIME], 1)
  expect(sliceTimes(block, { minTime: MIN_TIME, maxTime: MAX_TIME }).times.length).toBe(3)
  expect(rangeOf(block)).toEqual({ minTime: MIN_TIME, maxTime: MAX_TIME })
})

it('knows no times of a block without points', () => {
  expect(() => rangeOf(blockOf('float', [], 1))).toThrow('no times')
})
