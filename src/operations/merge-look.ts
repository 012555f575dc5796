import { SnapError } from '../errors.ts'
import { findKeyProblem } from '../formats/line-protocol.ts'
import type { FieldPoints } from '../formats/points.ts'
import type { ListedShard } from '../meta/index.ts'
import { alignKeys } from '../tsm/align.ts'
import type { FieldType } from '../tsm/format.ts'
import { parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'
import { type Block, sliceBlock } from '../tsm/values.ts'
import type { ExactRange } from './exact-range.ts'
import { describeShard } from './inspect.ts'
import {
  type MergeCounts,
  type MergedField,
  type MergePart,
  mergePoints,
  seriesTimes,
} from './merge-points.ts'
import { shardName } from './plan-shards.ts'
import { readPoints } from './read-points.ts'
import type { KeepKey } from './series-selection.ts'
import type { ShardFiles, ShardSource } from './shard-source.ts'
import { sourcesOf } from './tsm-sources.ts'

/** Who wins where both have a point: the backup; live; or live wherever it has the row, whatever its fields. */
export type OnConflict = 'backup' | 'live' | 'fill-gaps'

/** How stored points are compared with live ones. */
export interface LookOptions {
  readonly source: ShardSource
  readonly keepKey: KeepKey | undefined
  readonly onConflict: OnConflict
  /** True if points go as line protocol, which cannot say all of them. */
  readonly asLines: boolean
  readonly signal: AbortSignal
}

/** The points of a stored shard that belong into one live shard. */
export interface MergePiece {
  readonly files: ShardFiles
  readonly range: ExactRange
  readonly live: ListedShard
  /** Finds the other live shards that hold points of these times: those count as live too, and stay as they are. */
  readonly findOthers: () => Promise<readonly ListedShard[]>
}

/**
 * Compares the stored points of a piece with what is live.
 * @param live the shards that hold points of these times; of equal times those of the last one count
 */
export function compare(
  { files, range }: MergePiece,
  live: readonly ShardFiles[],
  options: LookOptions,
): AsyncGenerator<MergedField, void, undefined> {
  const { source, keepKey, onConflict, signal } = options
  const theirs = () => readPoints(live, { source: liveSource, range, keepKey, signal })
  const rows = onConflict === 'fill-gaps' ? seriesTimes(theirs()) : undefined
  return mergePoints(readPoints([files], { source, range, keepKey, signal }), theirs(), rows)
}

/** Damage of what the target gave is the target's. */
export const liveSource: Pick<ShardSource, 'damage'> = {
  damage: (found) =>
    new SnapError('E_DESTINATION', `the live shard cannot be read: ${found.message}`, {
      cause: found,
      hint: 'the file is damaged on the server: put it right first, or leave the times of its shard out (--start, --end)',
    }),
}

/** Which parts are written. */
export function isWanted({ kind }: MergePart, { onConflict }: LookOptions): boolean {
  return kind === 'added' || onConflict === 'backup'
}

/** What there is to do. */
export interface Look {
  readonly counts: MergeCounts
  /** Points to be written. */
  readonly wanted: number
  /** Points that the live shard will hold once all is written, and does not now. */
  readonly missing: number
  /** One of them for each field of each measurement. */
  readonly touches: readonly FieldPoints[]
}

/** One point. */
export interface MergePoint extends FieldPoints {
  readonly time: bigint
}

/**
 * Counts what there is to do, and refuses what cannot be done.
 * @param live as for {@link compare}; the last one is written to
 */
export async function look(
  piece: MergePiece,
  live: readonly ShardFiles[],
  options: LookOptions,
): Promise<Look> {
  const counts = { added: 0, equal: 0, conflicting: 0 }
  const touches = new Map<string, FieldPoints>()
  const types = await fieldTypes(live.at(-1)?.files)
  let [wanted, missing] = [0, 0]
  for await (const field of compare(piece, live, options)) {
    const liveType = types.get(fieldName(field.key)) ?? field.type
    if (liveType !== field.type) throw otherType(field, liveType, piece)
    for await (const part of field.parts) {
      if (!isWanted(part, options)) continue
      wanted += part.block.times.length
      missing += promised(field, part, options)
      const name = fieldName(field.key)
      const touch = touches.has(name) ? undefined : firstPoint(field, part.block, options)
      if (touch !== undefined) touches.set(name, touch)
    }
    counts.added += field.counts.added
    counts.equal += field.counts.equal
    counts.conflicting += field.counts.conflicting
  }
  return { counts, wanted, missing, touches: [...touches.values()] }
}

/** Counts points that are sure to be there afterwards: a server that takes writes may let others win meanwhile. */
function promised({ key }: MergedField, { kind, block }: MergePart, options: LookOptions): number {
  if (!options.asLines) return block.times.length
  if (kind !== 'added' || findKeyProblem(key) !== undefined) return 0
  if (block.type !== 'float') return block.times.length
  return block.values.reduce((count, value) => count + (Number.isFinite(value) ? 1 : 0), 0)
}

/** Line protocol has no NaN and no infinite numbers. */
function isSaid(block: Block, i: number): boolean {
  return block.type !== 'float' || Number.isFinite(block.values[i])
}

/** Returns the first point of a block that can be written; undefined if there is none. */
export function firstPoint(
  { key, type }: Pick<FieldPoints, 'key' | 'type'>,
  block: Block,
  { asLines }: Pick<LookOptions, 'asLines'>,
): MergePoint | undefined {
  if (asLines && findKeyProblem(key) !== undefined) return undefined
  const at = block.times.findIndex((_, i) => !asLines || isSaid(block, i))
  const time = block.times[at]
  if (time === undefined) return undefined
  const blocks = [sliceBlock(block, at, at + 1)]
  return { key: Uint8Array.from(key), type, time, blocks: each(blocks) }
}

/** Returns the types that the fields of each measurement have in a shard: it takes no points of others. */
async function fieldTypes(
  files: ShardFiles['files'] = new Map(),
): Promise<ReadonlyMap<string, FieldType>> {
  const types = new Map<string, FieldType>()
  for await (const { key, type } of alignKeys(await sourcesOf(files)))
    types.set(fieldName(key), type)
  return types
}

function fieldName(key: Uint8Array): string {
  const { seriesKey, field } = parseCompositeKey(key)
  const { measurement } = parseSeriesKey(seriesKey)
  return [measurement, field].map((bytes) => Buffer.from(bytes).toString('latin1')).join('\0')
}

/** Yields each of some items. */
export async function* each<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items
}

function otherType(
  { key, type }: MergedField,
  liveType: FieldType,
  { live }: MergePiece,
): SnapError {
  const { seriesKey, field } = parseCompositeKey(key)
  const name = Buffer.from(field).toString()
  const series = Buffer.from(seriesKey).toString()
  return new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(shardName(live))}: field type conflict: ${name} is ${liveType} there, and ${type} in the backup (${series})`,
    {
      hint: 'leave its measurement out (--measurement), or restore into another database (--newdb)',
    },
  )
}
