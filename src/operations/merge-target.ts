import type { FieldPoints, PolicyName } from '../formats/points.ts'
import type { Data } from '../meta/index.ts'
import { mergeBlocks } from '../tsm/arrange.ts'
import { fullBlocks } from '../tsm/full-blocks.ts'
import { type Block, MIN_TIME } from '../tsm/values.ts'
import type { LeftOutPoints } from './export-tally.ts'
import type { ShardName } from './inspect.ts'
import type { Look, LookOptions, MergePiece, MergePoint } from './merge-look.ts'
import type { MergedField, MergePart } from './merge-points.ts'
import type { WrongPoints } from './select-check.ts'
import type { ShardFiles } from './shard-source.ts'

/** Where points are merged into: a live server, or the directories of a stopped one. */
export interface MergeTarget {
  /** `host:port`, or the path of the data directory. */
  readonly name: string
  /** True if points go as line protocol, which cannot say all of them. */
  readonly asLines: boolean
  metastore(): Promise<Data>
  /** Opens a shard as it is now. */
  openLive(shard: ShardName): Promise<LiveShard>
  /** Makes the shard group that a point belongs to. Returns how many points were written for that. */
  makeGroup(point: MergePoint, into: PolicyName): Promise<number>
  /** What could not be written so far. */
  unwritten(): readonly LeftOutPoints[]
}

/** A live shard with its files. */
export interface LiveShard extends ShardFiles {
  /** True if an earlier run was killed in the middle: the shard is to be written even if it lacks nothing. */
  readonly isUnfinished: boolean
  /** Writes what the shard is to get. Returns the bytes that were written. */
  write(work: MergeWork): Promise<number>
  /** Says which of the points of a piece, all of them in the shard, queries return wrongly. */
  check(piece: MergePiece, options: LookOptions): Promise<WrongPoints | undefined>
}

/** Stored points for a live shard, and what was found out of them. */
export interface MergeWork {
  readonly piece: MergePiece
  readonly look: Look
  /** Reads the points of the parts that are chosen; may be called again. */
  readonly points: (isHere: (part: MergePart) => boolean) => AsyncIterable<FieldPoints>
  /** Told of the bytes that were written so far. */
  readonly onBytes: (bytes: number) => void
  readonly options: LookOptions
}

/** Points of one key, to be put into files: keys ascend, and the blocks of each in time. */
export interface KeyBlock {
  readonly key: Uint8Array
  readonly block: Block
}

/** Yields parts of a comparison as points. */
export async function* partsOf(
  fields: AsyncIterable<MergedField>,
  isHere: (part: MergePart) => boolean,
): AsyncGenerator<FieldPoints, void, undefined> {
  for await (const { key, type, parts } of fields) {
    const chosen = async function* () {
      for await (const part of parts) if (isHere(part)) yield part.block
    }
    yield { key, type, blocks: ascending(chosen()) }
  }
}

/** What is new and what is conflicting of the same times comes one after the other. */
async function* ascending(blocks: AsyncIterable<Block>): AsyncGenerator<Block, void, undefined> {
  let held: Block | undefined
  for await (const block of blocks) {
    const isAfter = (held?.times.at(-1) ?? MIN_TIME) < (block.times[0] ?? MIN_TIME)
    if (held !== undefined && isAfter) yield held
    held = held === undefined || isAfter ? block : mergeBlocks(held, block)
  }
  if (held !== undefined) yield held
}

/** Yields points in full blocks, as they go into files. */
export async function* blocksOf(
  fields: AsyncIterable<FieldPoints>,
): AsyncGenerator<KeyBlock, void, undefined> {
  for await (const { key, blocks } of fields) {
    for await (const block of fullBlocks(blocks)) yield { key, block }
  }
}
