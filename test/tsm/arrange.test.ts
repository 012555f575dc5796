import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { concatBlocks, mergeBlocks, sortBlock } from '../../src/tsm/arrange.ts'
import { type Block, sliceBlock } from '../../src/tsm/values.ts'
import { blockOf, runs, someTimes, TYPES } from './arbitraries.ts'
import { valueAt } from './fixtures.ts'

const entries = (block: Block) =>
  Array.from(block.times, (time, i) => [time, valueAt(block, i)] as const)

function model(...blocks: Block[]) {
  const last = new Map(blocks.flatMap(entries))
  return [...last].sort(([a], [b]) => Number(a - b))
}

const type = fc.constantFrom(...TYPES)

test.prop(
  { type, times: fc.array(fc.bigInt(-30n, 30n), { minLength: 1, maxLength: 80 }) },
  runs(200),
)('sorting keeps the last of equal times', ({ type, times }) => {
  const block = blockOf(type, times, 5)
  expect(entries(sortBlock(block))).toEqual(model(block))
})

test.prop({ type, older: someTimes(40), newer: someTimes(40) }, runs(300))(
  'merging lets the newer block win',
  ({ type, older, newer }) => {
    const [a, b] = [blockOf(type, older, 1), blockOf(type, newer, 2)]
    expect(entries(mergeBlocks(a, b))).toEqual(model(a, b))
    // parts of blocks are blocks: strings that do not begin at offset 0 among them
    const [c, d] = [sliceBlock(a, 1, 40), sliceBlock(b, 2, 30)]
    expect(entries(mergeBlocks(c, d))).toEqual(model(c, d))
  },
)

test.prop({ type, lists: fc.array(someTimes(20), { minLength: 1, maxLength: 4 }) })(
  'joining keeps everything in order',
  ({ type, lists }) => {
    const blocks = lists.map((times, i) => blockOf(type, times, i))
    expect(entries(concatBlocks(blocks))).toEqual(blocks.flatMap(entries))
  },
)

it('what is in order already is not copied', () => {
  const block = blockOf('string', [1n, 2n], 1)
  expect(sortBlock(block)).toBe(block)
  expect(concatBlocks([block])).toBe(block)
  expect(mergeBlocks(block, blockOf('string', [], 1))).toBe(block)
  expect(mergeBlocks(blockOf('string', [], 1), block)).toBe(block)
})

it('refuses blocks of different types, and none', () => {
  for (const type of TYPES) {
    const other = type === 'float' ? 'integer' : 'float'
    const blocks = [blockOf(type, [1n], 1), blockOf(other, [2n], 1)]
    expect(() => concatBlocks(blocks)).toThrow(`${type} and ${other} values of one field`)
  }
  expect(() => concatBlocks([])).toThrow('no blocks')
})
