import type { CatalogData, ShardEvidence } from '../portable/catalog.ts'
import type { WantedShard } from '../portable/reusable.ts'
import type { ShardName } from './inspect.ts'
import type { ShardFacts } from './set-parts.ts'
import type { HashedFile } from './shard-evidence.ts'

/** Why a shard is not in an answer that holds all there is. */
export const DROPPED = 'dropped by the server meanwhile'
/** Why a shard is not in a set of chosen points. */
export const NO_POINTS = 'no points in this selection'

/** Why a shard is not fetched. */
export const UNCHANGED = 'unchanged'

/** A shard in the set. Bytes of its tar, and of its archive. */
export interface StoredShard extends ShardName {
  readonly bytes: number
  readonly stored: number
  /** True if its source said that this is all there was; influxd does not say. */
  readonly complete: boolean
  /** The archive of an older set that it shares, because it has not changed since. */
  readonly reused?: string | undefined
  /** A run that died had fetched it, and it has not changed since. */
  readonly resumed?: boolean | undefined
  /** What tells a later backup whether it has changed; of whole shards alone. */
  readonly evidence?: ShardEvidence | undefined
  /** What the catalog says of its points. */
  readonly data?: CatalogData | undefined
  /** What its sidecar says of its points, if they were looked at. */
  readonly points?: number | undefined
  readonly fingerprint?: string | undefined
  readonly exact?: boolean | undefined
  /** Blocks that the source itself has lost: they came as they are stored there, and do not decode. */
  readonly flaws?: readonly string[] | undefined
}

/** A shard that is not in the set, and why. */
export interface LeftOutShard extends ShardName {
  readonly reason: string
}

/** A shard that had not changed. */
export interface UnchangedShard extends ShardName {
  /** It had not after this time, nanoseconds since the epoch: the one that was given, or when an older set took it. */
  readonly since: bigint
  /** True if an older set holds it as it is. */
  readonly held: boolean
}

/** What became of the shards of a backup. */
export interface FetchedShards {
  readonly shards: readonly StoredShard[]
  /** Shards that the server dropped while the backup ran: there is nothing to take any more. */
  readonly dropped: readonly LeftOutShard[]
  /** Shards that could not be fetched (`skipErrors`): their data is not in the set. */
  readonly skipped: readonly LeftOutShard[]
  /** Shards without a change since the time that was given. */
  readonly unchanged: readonly UnchangedShard[]
  /** Shards without a point of those that are wanted. */
  readonly empty: readonly ShardName[]
  /** Bytes of tars that were read from the source; more than those of new archives where some were only compared. */
  readonly fetchedBytes: number
}

/** {@link FetchedShards} while it fills. */
export interface Found {
  /** The files of the stored shards, by id; only where they are compared with the server's figures at the end. */
  readonly files: Map<bigint, readonly HashedFile[]> | undefined
  fetchedBytes: number
  shards: StoredShard[]
  readonly dropped: LeftOutShard[]
  readonly skipped: LeftOutShard[]
  readonly unchanged: UnchangedShard[]
  readonly empty: ShardName[]
}

/** Returns what the catalog is to say of the shards of a metastore: of those that are stored. */
export function shardFacts(
  wanted: readonly WantedShard[],
  stored: readonly StoredShard[],
): ShardFacts[] {
  const taken = new Map(stored.map((shard) => [shard.shardId, shard]))
  return wanted.flatMap((shard) => {
    const { complete, evidence, data } = taken.get(shard.shardId) ?? {}
    if (complete === undefined) return []
    return [{ ...shard, complete, ...(evidence && { evidence }), ...(data && { data }) }]
  })
}
