import { SnapError } from '../errors.ts'
import { type AlignedKey, alignKeys, type KeyPart, type TsmSource } from './align.ts'
import { mergeBlocks } from './arrange.ts'
import type { FieldType } from './format.ts'
import type { IndexEntry, TsmFile, TsmKey } from './reader.ts'
import { isWhole, keptRanges, type TsmFilter, timeRange } from './rewrite.ts'
import { filterBlock } from './time-ranges.ts'
import { type Block, searchTime, sliceBlock, type TimeRange } from './values.ts'

export type { TsmSource } from './align.ts'

/** A key of several files. */
export interface MergedKey {
  /** The composite key. */
  readonly key: Uint8Array
  readonly type: FieldType
  /** Its points in ascending order, without duplicates, in blocks of any size; there may be none. To be read once. */
  readonly blocks: AsyncGenerator<Block>
}

/**
 * Reads the wanted points of a shard's files as one: keys in order, each with its points, of points with equal times
 * those of the last file. Holds the blocks that overlap at one moment of one key, at most a few per file.
 * @param sources in the order of their files' names as text, which is the order that influxd goes by
 * @throws SnapError as {@link TsmFile.readPoints}, and `E_FORMAT` if two files have different types for a key
 */
export async function* mergeTsm(
  sources: readonly TsmSource[],
  filter: TsmFilter = {},
): AsyncGenerator<MergedKey> {
  const range = timeRange(filter)
  for await (const aligned of alignKeys(sources)) {
    const { key, type, parts } = aligned
    const conflict = findConflict(aligned)
    if (conflict !== undefined) throw new SnapError('E_FORMAT', conflict)
    if (filter.keepKey?.(key) === false) continue
    const pieces = parts.flatMap((part) => piecesOf(part, range))
    yield { key, type, blocks: mergePieces(pieces.filter(({ kept }) => kept.length > 0)) }
  }
}

/** Says in words that a key has different types in its files, which influxd takes for damage. */
export function findConflict({ key, type, parts }: AlignedKey): string | undefined {
  const other = parts.find((part) => part.key.type !== type)
  if (other === undefined) return undefined
  const types = `${other.key.type} here, ${type} in a file before`
  return `${other.source.file.source.name}: field ${Buffer.from(key).toString()} is ${types}`
}

/** One block of a key with the times that are wanted of it. */
export interface Piece {
  readonly file: TsmFile
  readonly rank: number
  readonly key: TsmKey
  readonly entry: IndexEntry
  readonly kept: readonly TimeRange[]
}

/** Returns the blocks of a key in one file, each with its times inside `range` that no tombstone deletes. */
export function piecesOf({ source, rank, key }: KeyPart, range: TimeRange): Piece[] {
  const drops = source.tombstones?.rangesOf(key.key) ?? []
  return key.entries.map((entry) => ({
    file: source.file,
    rank,
    key,
    entry,
    kept: keptRanges(entry, range, drops),
  }))
}

interface Loaded {
  readonly rank: number
  readonly block: Block
}

/**
 * Reads the wanted points of blocks of one key, merged as {@link mergeTsm} does.
 * @throws SnapError as {@link TsmFile.readPoints}
 */
export async function* mergePieces(pieces: readonly Piece[]): AsyncGenerator<Block> {
  // blocks are loaded in the order of their first times; what lies before the next one's can be given out
  const ordered = [...pieces].sort(byFirstTime)
  let loaded: Loaded[] = []
  for (const [i, piece] of ordered.entries()) {
    const taken = piece.file.takeBlock(piece.key, piece.entry)
    const block = decode(piece, taken instanceof Promise ? await taken : taken)
    const limit = ordered[i + 1]?.entry.minTime
    if (block !== undefined && loaded.length === 0 && isBefore(block, limit)) {
      yield block
      continue
    }
    if (block !== undefined) loaded.push({ rank: piece.rank, block })
    loaded.sort((a, b) => a.rank - b.rank)
    const ready: Block[] = []
    const later: Loaded[] = []
    for (const { rank, block } of loaded) {
      const end = block.times.length
      const at = limit === undefined ? end : searchTime(block.times, limit)
      if (at > 0) ready.push(at === end ? block : sliceBlock(block, 0, at))
      if (at < end) later.push({ rank, block: sliceBlock(block, at, end) })
    }
    loaded = later
    if (ready.length > 0) yield ready.reduce(mergeBlocks)
  }
}

/** Orders pieces by the first times of their blocks. */
export function byFirstTime({ entry: a }: Piece, { entry: b }: Piece): number {
  return a.minTime < b.minTime ? -1 : a.minTime > b.minTime ? 1 : 0
}

/** Says whether all points of a block, which has some, are before a time. */
function isBefore({ times }: Block, limit: bigint | undefined): boolean {
  const last = times.at(-1)
  return limit === undefined || (last !== undefined && last < limit)
}

function decode({ file, key, entry, kept }: Piece, bytes: Uint8Array): Block | undefined {
  const block = file.decodePoints(key, entry, bytes)
  return isWhole(entry, kept) ? block : filterBlock(block, kept)
}
