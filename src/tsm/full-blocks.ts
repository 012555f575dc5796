import { concatBlocks } from './arrange.ts'
import { MAX_POINTS_PER_BLOCK } from './format.ts'
import { type Block, sliceBlock } from './values.ts'

/** Points are given this many at a time, or this many bytes of strings. */
const BATCH_POINTS = 8 * MAX_POINTS_PER_BLOCK
const BATCH_BYTES = 4 * 1024 * 1024

/** Joins the points of one key, however they are cut, so that all but the last become full blocks of a file. */
export async function* fullBlocks(
  blocks: AsyncIterable<Block>,
): AsyncGenerator<Block, void, undefined> {
  let pending: Block[] = []
  let [points, bytes] = [0, 0]
  for await (const block of blocks) {
    pending.push(block)
    points += block.times.length
    bytes += block.type === 'string' ? stringBytes(block.values.offsets) : 0
    if (points < (bytes < BATCH_BYTES ? BATCH_POINTS : MAX_POINTS_PER_BLOCK)) continue
    const joined = concatBlocks(pending)
    const whole = points - (points % MAX_POINTS_PER_BLOCK)
    yield sliceBlock(joined, 0, whole)
    pending = [sliceBlock(joined, whole, points)]
    points -= whole
    bytes = 0
  }
  if (points > 0) yield concatBlocks(pending)
}

function stringBytes(offsets: Uint32Array): number {
  return (offsets.at(-1) ?? 0) - (offsets[0] ?? 0)
}
