import { isProven } from '../portable/checks.ts'
import type { SetSummary } from './list.ts'
import type { AnomalyItem, ShardSize } from './report-data.ts'
import type { ContainedShard, SetContents } from './set-contents.ts'

/** A shard as it was followed from set to set. */
export interface FollowedShard {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
  times: ContainedShard['times']
  archive: string
  bytes: number
  data: ContainedShard['data']
  /** Sets that hold it. */
  sets: number
  /** Where the newest set that holds it stands, counted from the oldest, and its name. */
  newest: number
  newestSet: string
  /** A set that was checked as a whole holds its newest archive. */
  proven: boolean
  /** Until when it was held without a change, by the newest set that says so. */
  until: bigint
}

/** A set that was read, and where it stands, counted from the oldest. */
export interface ReadSet {
  readonly index: number
  readonly summary: SetSummary
  readonly contents: SetContents
}

/** By how much a shard without counted points must shrink to be named: compactions make shards smaller, but rarely by half. */
const SHRUNK_TO = 0.5
const SHRUNK_BY = 1024 * 1024

/** Follows the shards of a target from its oldest set to its newest, one set at a time. */
export class ShardFollower {
  readonly shards = new Map<string, FollowedShard>()
  /** Shards that hold less than in the set before, the oldest first. */
  readonly shrunk: AnomalyItem[] = []

  /** Takes the next set. */
  add(set: ReadSet): void {
    const { contents, summary } = set
    const missing = new Set(contents.missing)
    for (const shard of contents.shards) {
      const known = this.#find(shard)
      known.times = shard.times ?? known.times
      if (missing.has(shard.archive)) continue
      if (isComparable(contents)) this.#compare(known, shard, summary.set)
      hold(known, shard, set)
    }
    for (const { shardId, database, retentionPolicy, lost } of contents.catalog?.skipped ?? []) {
      if (lost) this.#find({ shardId, database, retentionPolicy })
    }
    this.#inherit(set)
  }

  #find(shard: Pick<ContainedShard, 'shardId' | 'database' | 'retentionPolicy'>): FollowedShard {
    const { database, retentionPolicy, shardId } = shard
    const key = JSON.stringify([database, retentionPolicy, `${shardId}`])
    const known = this.shards.get(key)
    if (known !== undefined) return known
    const fresh: FollowedShard = {
      ...{ database, retentionPolicy, shardId, times: undefined, archive: '', data: undefined },
      ...{ bytes: 0, sets: 0, newest: -1, newestSet: '', proven: false, until: 0n },
    }
    this.shards.set(key, fresh)
    return fresh
  }

  /** Lets a set made with `--since` hold what had not changed, if it was held until then. */
  #inherit({ index, summary, contents: { catalog } }: ReadSet): void {
    if (catalog?.unchanged === undefined) return
    const since = new Map(catalog.unchanged.map((shard) => [shard.shardId, shard.since]))
    for (const shard of this.shards.values()) {
      const wanted = since.get(shard.shardId)
      if (wanted === undefined || shard.sets === 0 || shard.until < wanted) continue
      shard.sets += 1
      shard.newest = index
      shard.newestSet = summary.set
      shard.until = begunAt(summary)
    }
  }

  #compare(known: FollowedShard, shard: ContainedShard, set: string): void {
    if (known.sets === 0 || known.archive === shard.archive) return
    const before = sizeOf(known, known.newestSet)
    const after = sizeOf(shard, set)
    if (!isLess(after, before)) return
    const { database, retentionPolicy, shardId } = shard
    this.shrunk.push({ set, database, retentionPolicy, shardId, before, after })
  }
}

function hold(known: FollowedShard, shard: ContainedShard, { index, summary }: ReadSet): void {
  const isSame = known.archive === shard.archive
  known.proven = isProven(summary) || (isSame && known.proven)
  known.archive = shard.archive
  known.bytes = shard.bytes
  known.data = shard.data
  known.sets += 1
  known.newest = index
  known.newestSet = summary.set
  known.until = begunAt(summary)
}

function begunAt({ time }: SetSummary): bigint {
  return BigInt(Date.parse(time)) * 1_000_000n
}

/** A set of chosen points says nothing of a whole shard. */
function isComparable({ catalog }: SetContents): boolean {
  return catalog?.kind !== 'range'
}

function sizeOf({ bytes, data }: Pick<ContainedShard, 'bytes' | 'data'>, set: string): ShardSize {
  return { set, bytes, ...(data?.exact && { points: data.points }) }
}

function isLess(after: ShardSize, before: ShardSize): boolean {
  if (after.points !== undefined && before.points !== undefined) return after.points < before.points
  return after.bytes < before.bytes * SHRUNK_TO && before.bytes - after.bytes > SHRUNK_BY
}
