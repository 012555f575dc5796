import { concatBlocks } from '../tsm/arrange.ts'
import { type Block, MAX_TIME, searchTime, sliceBlock, type TimeRange } from '../tsm/values.ts'

/** Returns the points of an ascending block that are not inside `range`; views over `block` where that is enough. */
export function withoutTimes(block: Block, { minTime, maxTime }: TimeRange): Block {
  const { length } = block.times
  const from = searchTime(block.times, minTime)
  const to = maxTime === MAX_TIME ? length : searchTime(block.times, maxTime + 1n)
  if (from >= to) return block
  if (from === 0) return sliceBlock(block, to, length)
  if (to === length) return sliceBlock(block, 0, from)
  return concatBlocks([sliceBlock(block, 0, from), sliceBlock(block, to, length)])
}
