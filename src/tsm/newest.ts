import { SnapError } from '../errors.ts'
import { alignKeys, type TsmSource } from './align.ts'
import { findConflict, type MergedKey, mergePieces, type Piece, piecesOf } from './merge.ts'
import { type TsmFilter, timeRange } from './rewrite.ts'
import { type Block, MIN_TIME, searchTime, sliceBlock } from './values.ts'

/** How many points of a key are still wanted; asked once for each key. */
export type Wanted = (key: Uint8Array) => number

/**
 * Reads the newest of the wanted points of a shard's files, as {@link mergeTsm} reads all. Of each key as few blocks are
 * read as will do.
 * @throws SnapError as {@link mergeTsm}
 */
export async function* newestTsm(
  sources: readonly TsmSource[],
  filter: TsmFilter,
  wanted: Wanted,
): AsyncGenerator<MergedKey> {
  const range = timeRange(filter)
  for await (const aligned of alignKeys(sources)) {
    const { key, type, parts } = aligned
    if (filter.keepKey?.(key) === false) continue
    const conflict = findConflict(aligned)
    if (conflict !== undefined) throw new SnapError('E_FORMAT', conflict)
    const count = wanted(key)
    if (count <= 0) continue
    const pieces = parts
      .flatMap((part) => piecesOf(part, range))
      .filter(({ kept }) => kept.length > 0)
    yield { key, type, blocks: newestPoints(pieces, count) }
  }
}

/** Yields the newest `count` points of blocks of one key, ascending. */
async function* newestPoints(pieces: readonly Piece[], count: number): AsyncGenerator<Block> {
  const ordered = [...pieces].sort(byLastTime)
  for (let taken = 1; ordered.length > 0; taken *= 2) {
    const older = ordered[taken]
    const blocks: Block[] = []
    for await (const block of mergePieces(ordered.slice(0, taken))) blocks.push(block)
    // What is not after the last time of an older block may be written over, or followed, by points of it.
    const from = older === undefined ? MIN_TIME : older.entry.maxTime + 1n
    const complete = blocks.map((block) => since(block, from))
    const points = complete.reduce((sum, { times }) => sum + times.length, 0)
    if (points < count && older !== undefined) continue
    yield* lastOf(complete, points - count)
    return
  }
}

function byLastTime({ entry: a }: Piece, { entry: b }: Piece): number {
  return a.maxTime > b.maxTime ? -1 : a.maxTime < b.maxTime ? 1 : 0
}

function since(block: Block, time: bigint): Block {
  return sliceBlock(block, searchTime(block.times, time), block.times.length)
}

/** Yields blocks without their first `skipped` points. */
function* lastOf(blocks: readonly Block[], skipped: number): Generator<Block> {
  let left = Math.max(0, skipped)
  for (const block of blocks) {
    const { length } = block.times
    const from = Math.min(left, length)
    left -= from
    if (from < length) yield sliceBlock(block, from, length)
  }
}
