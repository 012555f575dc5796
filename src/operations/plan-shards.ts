import { SnapError } from '../errors.ts'
import { type ListedShard, startOfGroup } from '../meta/index.ts'
import type { WantedShard } from '../portable/reusable.ts'
import type { ExactRange } from './exact-range.ts'
import type { ShardName } from './inspect.ts'
import { type Selection, selectShards } from './selection.ts'
import type { ShardSource, SourceMetastore } from './shard-source.ts'

/** What of a source is wanted. */
export interface ShardWish {
  readonly source: ShardSource
  readonly selection: Selection
  readonly range?: ExactRange | undefined
  readonly signal: AbortSignal
}

/** What a backup or an export will work on. */
export interface ShardPlan extends SourceMetastore {
  /** Selected, able to hold points of the range, and there; in the metastore's order. */
  readonly shards: readonly ListedShard[]
  /** Selected, and not there: nothing was written to them yet, or they did not open. */
  readonly missing: readonly ShardName[]
  /** All that are selected and cannot be read; a backup holds only what it was asked to take. */
  readonly notThere: readonly ShardName[]
}

/**
 * Reads the metastore of a source and selects shards. Those whose group is outside the range are not looked at.
 * @throws SnapError `E_NOTHING_MATCHED` if none is left
 */
export async function planShards(wish: ShardWish): Promise<ShardPlan> {
  const { source, selection, range, signal } = wish
  const metastore = await source.readMetastore(selection, signal)
  const { data, present, absent } = metastore
  const selected = selectShards(data, selection).filter((shard) => overlaps(shard, range))
  const shards = selected.filter(({ shard }) => present.has(shard.id))
  const missing = selected.filter(({ shard }) => absent.has(shard.id)).map(shardName)
  const notThere = selected.filter(({ shard }) => !present.has(shard.id)).map(shardName)
  if (shards.length > 0) return { ...metastore, shards, missing, notThere }
  throw new SnapError('E_NOTHING_MATCHED', `${source.name} has no shards in this selection`, {
    hint: 'a database has shards once points are written to it; there is nothing to take yet',
  })
}

/** Says whether a shard may hold points of these times. */
export function overlaps({ group }: ListedShard, range: ExactRange | undefined): boolean {
  return range === undefined || (startOfGroup(group) <= range.end && group.endTime > range.start)
}

/** Returns a shard of the metastore with the times of its group. */
export function wantedShard(listed: ListedShard): WantedShard {
  const { startTime: start, endTime: end } = listed.group
  return { ...shardName(listed), start, end }
}

/** Returns names and id of a shard of the metastore. */
export function shardName({ database, retentionPolicy, shard }: ListedShard): ShardName {
  return { database, retentionPolicy, shardId: shard.id }
}
