import { SnapError } from '../errors.ts'
import { mergeBlocks } from './arrange.ts'
import type { FieldType } from './format.ts'
import type { IndexEntry, TsmFile, TsmKey } from './reader.ts'
import { isWhole, keptRanges, type RewriteFilter, type TsmFilter, timeRange } from './rewrite.ts'
import { filterBlock } from './time-ranges.ts'
import { type Block, searchTime, sliceBlock, type TimeRange } from './values.ts'

/** One file of a shard with its own tombstones. */
export interface TsmSource extends Pick<RewriteFilter, 'tombstones'> {
  readonly file: TsmFile
}

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
  const cursors = sources.map((source) => ({ source, keys: source.file.keys() }))
  try {
    const heads = await Promise.all(cursors.map(({ keys }) => next(keys)))
    for (;;) {
      const first = firstKey(heads)
      if (first === undefined) return
      let pieces: Piece[] = []
      for (const [rank, { source, keys }] of cursors.entries()) {
        const head = heads[rank]
        if (head === undefined || Buffer.compare(head.key, first.key) !== 0) continue
        if (head.type !== first.type) throw conflict(source, head, first)
        pieces = pieces.concat(piecesOf({ source, rank, key: head, range }))
        heads[rank] = await next(keys)
      }
      if (filter.keepKey?.(first.key) === false) continue
      yield { key: first.key, type: first.type, blocks: mergePieces(pieces) }
    }
  } finally {
    for (const { keys } of cursors) await keys.return(undefined)
  }
}

async function next(keys: AsyncGenerator<TsmKey>): Promise<TsmKey | undefined> {
  const { done, value } = await keys.next()
  return done ? undefined : value
}

function firstKey(heads: readonly (TsmKey | undefined)[]): TsmKey | undefined {
  let first: TsmKey | undefined
  for (const head of heads) {
    if (head === undefined) continue
    if (first === undefined || Buffer.compare(head.key, first.key) < 0) first = head
  }
  return first
}

function conflict({ file }: TsmSource, head: TsmKey, first: TsmKey): SnapError {
  const name = Buffer.from(head.key).toString()
  const types = `${head.type} here, ${first.type} in a file before`
  return new SnapError('E_FORMAT', `${file.source.name}: field ${name} is ${types}`)
}

// One block that holds wanted times.
interface Piece {
  readonly file: TsmFile
  readonly rank: number
  readonly key: TsmKey
  readonly entry: IndexEntry
  readonly kept: readonly TimeRange[]
}

interface KeyOfSource {
  readonly source: TsmSource
  readonly rank: number
  readonly key: TsmKey
  readonly range: TimeRange
}

function piecesOf({ source, rank, key, range }: KeyOfSource): Piece[] {
  const drops = source.tombstones?.rangesOf(key.key) ?? []
  return key.entries
    .map((entry) => ({
      file: source.file,
      rank,
      key,
      entry,
      kept: keptRanges(entry, range, drops),
    }))
    .filter(({ kept }) => kept.length > 0)
}

interface Loaded {
  readonly rank: number
  readonly block: Block
}

// Loads blocks in the order of their first times. What lies before the first time of the next block can be given out.
async function* mergePieces(pieces: readonly Piece[]): AsyncGenerator<Block> {
  const ordered = [...pieces].sort((a, b) => compareTimes(a.entry.minTime, b.entry.minTime))
  let loaded: Loaded[] = []
  for (const [i, piece] of ordered.entries()) {
    const block = await load(piece)
    if (block !== undefined) loaded.push({ rank: piece.rank, block })
    loaded.sort((a, b) => a.rank - b.rank)
    const limit = ordered[i + 1]?.entry.minTime
    const cuts = loaded.map((part) => cut(part, limit))
    loaded = cuts.map(({ after }) => after).filter(({ block }) => block.times.length > 0)
    const ready = cuts.map(({ before }) => before).filter(({ times }) => times.length > 0)
    if (ready.length > 0) yield ready.reduce(mergeBlocks)
  }
}

function compareTimes(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

async function load({ file, key, entry, kept }: Piece): Promise<Block | undefined> {
  const block = await file.readPoints(key, entry)
  return isWhole(entry, kept) ? block : filterBlock(block, kept)
}

function cut({ rank, block }: Loaded, limit: bigint | undefined) {
  const end = block.times.length
  const at = limit === undefined ? end : searchTime(block.times, limit)
  return { before: sliceBlock(block, 0, at), after: { rank, block: sliceBlock(block, at, end) } }
}
