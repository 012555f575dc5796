import type { SetSummary } from './list.ts'
import type { KeepReason } from './prune-plan.ts'

/** Everything that a report tells of a target, as of one moment. */
export interface Report {
  /** Where the sets are. */
  readonly source: string
  readonly generated: Date
  /** ClusterID of the server, if a set of ours says it. */
  readonly clusterId?: bigint | undefined
  /** Newest first. */
  readonly sets: readonly ReportSet[]
  /** By name. */
  readonly databases: readonly ReportDatabase[]
  readonly rhythm: Rhythm
  readonly checks: LastChecks
  /** What `prune` would do, if it was asked with rules. */
  readonly retention?: RetentionOutlook | undefined
  /** The worst first. */
  readonly anomalies: readonly Anomaly[]
}

/** One set of the target. */
export interface ReportSet extends SetSummary {
  /** How long it took to make, if its catalog says so. */
  readonly durationMs?: number | undefined
  /** Points of its shards, if all of them were looked at. */
  readonly points?: number | undefined
  /** At least so many series: of each policy those of the shard that has the most, added up. */
  readonly series?: number | undefined
  /** True if its size tells how the data grows: it was to hold the same as the others of which this is true. */
  readonly comparable: boolean
  /** Older sets whose archives it shares. */
  readonly sharesWith: number
  /** What `prune` would do with it, if it was asked. */
  readonly fate?: 'keep' | 'remove' | undefined
  readonly reasons?: readonly KeepReason[] | undefined
}

/** A database that some set holds. */
export interface ReportDatabase {
  readonly name: string
  /** Sets that hold something of it. */
  readonly sets: number
  /** The newest of them. */
  readonly newest: string
  /** Bytes of the tars of what is held of it now, each shard once. */
  readonly bytes: number
  readonly points?: number | undefined
  readonly series?: number | undefined
  /** By name. */
  readonly policies: readonly ReportPolicy[]
}

/**
 * How a shard is held. `proven`: the newest set that was to hold it does, and its archive was verified or drilled as a whole. `held`: the
 * same, never checked. `older`: only sets before that one hold it. `lost`: it should be in a set, and no set has it whole.
 */
export type CoverState = 'proven' | 'held' | 'older' | 'lost'

/** A retention policy that some set holds. */
export interface ReportPolicy {
  readonly name: string
  /** How long the server keeps points, in ms, by the newest metastore that can be read; null: for ever. */
  readonly durationMs?: number | null | undefined
  readonly shards: number
  readonly bytes: number
  readonly points?: number | undefined
  readonly series?: number | undefined
  /** Shards by how they are held. */
  readonly states: Readonly<Record<CoverState, number>>
  /** The times of its shards, `end` not in them; shards of which no set says the times are not in `spans`. */
  readonly start?: Date | undefined
  readonly end?: Date | undefined
  /** In the order of time: a shard each, or several in a row where there are very many. */
  readonly spans: readonly CoverSpan[]
  /** Times between shards that no shard is for: the first ones, and how many there are. */
  readonly holes: readonly { readonly start: Date; readonly end: Date }[]
  readonly holeCount: number
  /** When the server drops the next of its shards, and what that shard is for. */
  readonly drops?: { readonly at: Date; readonly start: Date; readonly end: Date } | undefined
  /** Shards that the server has dropped by now, if it does what the policy says: they are in backups alone. */
  readonly dropped?: number | undefined
}

/** A piece of the time that a policy is held for. */
export interface CoverSpan {
  readonly start: Date
  /** Not in it. */
  readonly end: Date
  readonly shards: number
  /** The worst of its shards. */
  readonly state: CoverState
  /** Sets that hold the shard, or the most that hold one of several. */
  readonly sets: number
  /** The newest of them. */
  readonly newest?: string | undefined
}

/** How often sets are made. */
export interface Rhythm {
  /** The time between the last sets as it usually is, in ms; not there with fewer than four sets. */
  readonly usualMs?: number | undefined
  /** When the next set would come. */
  readonly due?: Date | undefined
}

/** The newest checks that ended well and looked at everything. */
export interface LastChecks {
  readonly verified?: LastCheck | undefined
  readonly drilled?: (LastCheck & { readonly recoveryMs: number }) | undefined
}

/** A check of a set. */
export interface LastCheck {
  readonly set: string
  readonly time: Date
}

/** What prune would do. */
export interface RetentionOutlook {
  readonly kept: number
  readonly removed: readonly string[]
  /** Bytes as stored. */
  readonly freed: number
  /** Why it would refuse to delete anything. */
  readonly refused?: string | undefined
}

/** How much an anomaly matters: `critical` ones cost data if nothing is done. */
export type Severity = 'critical' | 'warning' | 'note'

/** What may be wrong. */
export type AnomalyKind =
  | 'damaged'
  | 'headless'
  | 'check-failed'
  | 'lost-shards'
  | 'overdue'
  | 'database-missing'
  | 'database-overdue'
  | 'never-held'
  | 'shrunk'
  | 'not-verified'
  | 'not-drilled'
  | 'unconfirmed'
  | 'long-chain'
  | 'stock-chain'
  | 'unfinished'

/** Something that an operator should look at. */
export interface Anomaly {
  readonly kind: AnomalyKind
  readonly severity: Severity
  /** What it was found in, the newest first; at most {@link MAX_ITEMS}. */
  readonly items: readonly AnomalyItem[]
  /** How many things there are in all. */
  readonly count: number
}

/** So many things are named of each kind of anomaly. */
export const MAX_ITEMS = 12

/** One thing that an anomaly was found in; which fields there are depends on its kind. */
export interface AnomalyItem {
  readonly set?: string | undefined
  readonly database?: string | undefined
  readonly retentionPolicy?: string | undefined
  readonly shardId?: bigint | undefined
  /** A shard before and after it shrank. */
  readonly before?: ShardSize | undefined
  readonly after?: ShardSize | undefined
  readonly time?: Date | undefined
  readonly usualMs?: number | undefined
  readonly count?: number | undefined
  readonly message?: string | undefined
}

/** How large a shard is in a set. */
export interface ShardSize {
  readonly set: string
  readonly bytes: number
  readonly points?: number | undefined
}
