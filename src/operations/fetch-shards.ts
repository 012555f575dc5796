import { EXIT_CODES, SnapError } from '../errors.ts'
import { type FetchOptions, fetchShard, hasChanged } from './fetch-shard.ts'
import type { ShardName } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import { retryShard } from './retry-shard.ts'
import type { SetWriter } from './set-writer.ts'
import { createThrottle } from './throttle.ts'

/** Why a shard is not in an answer that holds all there is. */
export const DROPPED = 'dropped by the server meanwhile'
/** Why a shard is not in a set of chosen points. */
export const NO_POINTS = 'no points in this selection'

/** A shard in the set. Bytes of its tar, and of its archive. */
export interface StoredShard extends ShardName {
  readonly bytes: number
  readonly stored: number
  /** True if its source said that this is all there was; influxd does not say. */
  readonly complete: boolean
}

/** A shard that is not in the set, and why. */
export interface LeftOutShard extends ShardName {
  readonly reason: string
}

/** What became of the shards of a backup. */
export interface FetchedShards {
  readonly shards: readonly StoredShard[]
  /** Shards that the server dropped while the backup ran: there is nothing to take any more. */
  readonly dropped: readonly LeftOutShard[]
  /** Shards that could not be fetched (`skipErrors`): their data is not in the set. */
  readonly skipped: readonly LeftOutShard[]
  /** Shards without a change since the time that was given. */
  readonly unchanged: readonly ShardName[]
  /** Shards without a point of those that are wanted. */
  readonly empty: readonly ShardName[]
}

/** {@link FetchedShards} while it fills. */
interface Found {
  readonly shards: StoredShard[]
  readonly dropped: LeftOutShard[]
  readonly skipped: LeftOutShard[]
  readonly unchanged: ShardName[]
  readonly empty: ShardName[]
}

/** How the shards of a backup are fetched. */
export interface FetchShardsOptions extends Omit<FetchOptions, 'throttle' | 'onBytes'> {
  /** Only shards with a file changed after this time, each whole. Nanoseconds since the epoch. */
  readonly since?: bigint | undefined
  /** Shards fetched at the same time. */
  readonly jobs: number
  /** Times a shard is tried in all. */
  readonly attempts: number
  /** Bytes per second over all shards. */
  readonly limitRate?: number | undefined
  /** Leave out shards that cannot be fetched; the result says which. */
  readonly skipErrors: boolean
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

type Fetch = FetchShardsOptions & FetchOptions

/** Fetches shards into a set, several at a time, each tried again after a failure that may pass. */
export async function fetchShards(
  set: SetWriter,
  shards: readonly ShardName[],
  options: FetchShardsOptions,
): Promise<FetchedShards> {
  const { limitRate, jobs, signal } = options
  const fetch = { ...options, throttle: createThrottle(limitRate) }
  const found: Found = { shards: [], dropped: [], skipped: [], unchanged: [], empty: [] }
  await mapParallel(shards, { jobs, signal }, (shard, stop) =>
    fetchOrLeaveOut({ set, found }, shard, { ...fetch, signal: stop }),
  )
  const order = new Map(shards.map(({ shardId }, i) => [shardId, i]))
  const inOrder = <T extends ShardName>(list: readonly T[]): T[] =>
    list.toSorted((a, b) => (order.get(a.shardId) ?? 0) - (order.get(b.shardId) ?? 0))
  return {
    shards: inOrder(found.shards),
    dropped: inOrder(found.dropped),
    skipped: inOrder(found.skipped),
    unchanged: inOrder(found.unchanged),
    empty: inOrder(found.empty),
  }
}

interface Output {
  readonly set: SetWriter
  readonly found: Found
}

async function fetchOrLeaveOut(output: Output, shard: ShardName, fetch: Fetch): Promise<void> {
  const { found } = output
  const leaveOut = (list: LeftOutShard[], reason: string) => {
    fetch.progress?.({ type: 'shardSkipped', shard, reason })
    list.push({ ...shard, reason })
  }
  try {
    fetch.progress?.({ type: 'shardStart', shard })
    await retryShard(shard, () => fetchOnce(output, shard, fetch), fetch)
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_SOURCE) throw error
    if (error.code === 'E_SOURCE' && (await fetch.source.wasDropped(shard, fetch.signal))) {
      leaveOut(found.dropped, DROPPED)
    } else if (fetch.skipErrors) {
      leaveOut(found.skipped, error.message)
    } else throw error
  }
}

async function fetchOnce({ set, found }: Output, shard: ShardName, fetch: Fetch): Promise<void> {
  const { source, since, signal, progress = noProgress } = fetch
  if (since !== undefined && !(await hasChanged(source, { shard, since }, signal))) {
    progress({ type: 'shardSkipped', shard, reason: 'unchanged' })
    found.unchanged.push(shard)
    return
  }
  const started = performance.now()
  const onBytes = (bytes: number) => progress({ type: 'shardProgress', shard, bytes })
  const staged = await fetchShard(set, shard, { ...fetch, onBytes })
  if (staged === undefined) {
    progress({ type: 'shardSkipped', shard, reason: NO_POINTS })
    found.empty.push(shard)
    return
  }
  const { tarSize: bytes, gzSize: stored } = staged.archive
  const durationMs = performance.now() - started
  progress({ type: 'shardDone', shard, bytes, stored, durationMs })
  found.shards.push({ ...shard, bytes, stored, complete: staged.isComplete })
}
