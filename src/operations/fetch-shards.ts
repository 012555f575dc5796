import type { HttpClient } from '../client/index.ts'
import { EXIT_CODES, SnapError } from '../errors.ts'
import { formatFingerprint } from '../tsm/fingerprint.ts'
import { confirmShards } from './confirm-shards.ts'
import { type FetchOptions, fetchShard, hasChanged } from './fetch-shard.ts'
import type { InspectedFile, ShardName } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import { retryShard } from './retry-shard.ts'
import { isSameAgain } from './same-again.ts'
import type { SetWriter, StagedArchive } from './set-writer.ts'
import type { ShardData } from './shard-sums.ts'
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
}

/** {@link FetchedShards} while it fills. */
interface Found {
  /** The files of the stored shards, by id. */
  readonly files: Map<bigint, readonly InspectedFile[]>
  shards: StoredShard[]
  readonly dropped: LeftOutShard[]
  readonly skipped: LeftOutShard[]
  readonly unchanged: UnchangedShard[]
  readonly empty: ShardName[]
}

/** How the shards of a backup are fetched. */
export interface FetchShardsOptions extends Omit<FetchOptions, 'throttle' | 'onBytes'> {
  /** Only shards with a file changed after this time, each whole. Nanoseconds since the epoch. */
  readonly since?: bigint | undefined
  /** Until when older sets hold a shard as it was, by its id: with `since`, what changed later is fetched in any case. */
  readonly heldUntil?: ReadonlyMap<bigint, bigint> | undefined
  /** Shards fetched at the same time. */
  readonly jobs: number
  /** Times a shard is tried in all. */
  readonly attempts: number
  /** Bytes per second over all shards. */
  readonly limitRate?: number | undefined
  /** Leave out shards that cannot be fetched; the result says which. */
  readonly skipErrors: boolean
  /** Fetch the list of files of each shard a second time, where the server does not say that a shard is complete. */
  readonly twice?: boolean | undefined
  /** The server's HTTP API, to compare what came with what the server counts. */
  readonly http?: HttpClient | undefined
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
  const lists = { shards: [], dropped: [], skipped: [], unchanged: [], empty: [] }
  const found: Found = { ...lists, files: new Map() }
  await mapParallel(shards, { jobs, signal }, (shard, stop) =>
    fetchOrLeaveOut({ set, found }, shard, { ...fetch, signal: stop }),
  )
  await confirm({ set, found }, fetch)
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

/** Marks the shards as complete that the server's own figures show to be; one that was cut is an error, or skipped. */
async function confirm({ set, found }: Output, fetch: Fetch): Promise<void> {
  const { http, signal, skipErrors, progress = noProgress } = fetch
  const open = found.shards.filter(({ complete }) => !complete)
  if (http === undefined || open.length === 0) return
  const remove = async ({ shardId }: ShardName) => {
    found.shards = found.shards.filter((shard) => shard.shardId !== shardId)
    found.files.delete(shardId)
    await set.unstageShard(shardId)
  }
  // The shards are done for whoever counts them.
  const again = { ...fetch, progress: notesOf(progress) }
  const cut: (ShardName & { readonly error: SnapError })[] = []
  const complete = await confirmShards(
    open.map((shard) => ({ shard, files: found.files.get(shard.shardId) ?? [] })),
    {
      ...{ http, signal },
      refetch: async (shard) => {
        await remove(shard)
        await fetchOrLeaveOut({ set, found }, shard, again)
        return found.files.get(shard.shardId)
      },
      onCut: (shard, error) => void cut.push({ ...shard, error }),
    },
  )
  for (const { error, ...shard } of cut) {
    if (!skipErrors) throw error
    await remove(shard)
    progress({ type: 'note', level: 'warning', message: `${error.message}: skipped` })
    found.skipped.push({ ...shard, reason: error.message })
  }
  found.shards = found.shards.map((shard) =>
    complete.has(shard.shardId) ? { ...shard, complete: true } : shard,
  )
}

function notesOf(progress: Progress): Progress {
  return (event) => {
    if (event.type === 'note') progress(event)
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

/** How far the clocks of server and client may be apart, in nanoseconds. */
const CLOCK_SLACK = 60n * 1_000_000_000n

async function findUnchanged(shard: ShardName, fetch: Fetch): Promise<UnchangedShard | undefined> {
  const { source, signal, since: wanted, heldUntil } = fetch
  if (wanted === undefined) return undefined
  const until = heldUntil?.get(shard.shardId)
  const held = until !== undefined
  const since = held && until - CLOCK_SLACK < wanted ? until - CLOCK_SLACK : wanted
  if (await hasChanged(source, { shard, since }, signal)) return undefined
  return { ...shard, since, held }
}

async function fetchOnce({ set, found }: Output, shard: ShardName, fetch: Fetch): Promise<void> {
  const { progress = noProgress } = fetch
  const unchanged = await findUnchanged(shard, fetch)
  if (unchanged !== undefined) {
    progress({ type: 'shardSkipped', shard, reason: 'unchanged' })
    found.unchanged.push(unchanged)
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
  const { files, archive, data } = staged
  const complete = await isComplete(set, staged, fetch)
  const { tarSize: bytes, gzSize: stored } = archive
  const durationMs = performance.now() - started
  progress({ type: 'shardDone', shard, bytes, stored, points: data?.all.points, durationMs })
  found.files.set(shard.shardId, files)
  found.shards.push({ ...shard, bytes, stored, complete, ...(data && pointsOf(data)) })
}

function pointsOf({ all, inexact, flaws }: ShardData) {
  const fingerprint = formatFingerprint(all.fingerprint)
  const exact = inexact === undefined
  return { points: all.points, fingerprint, exact, ...(flaws.length > 0 && { flaws }) }
}

/** Tells whether a staged shard is complete. One that cannot be asked for again is taken out: it is fetched anew, or skipped. */
async function isComplete(
  set: SetWriter,
  staged: StagedArchive & { readonly isComplete: boolean },
  fetch: Fetch,
): Promise<boolean> {
  const isPart = fetch.range !== undefined || fetch.keepKey !== undefined
  if (staged.isComplete || fetch.twice !== true || isPart) return staged.isComplete
  try {
    return await isSameAgain(staged, fetch)
  } catch (error) {
    await set.unstageShard(staged.shard.shardId)
    throw error
  }
}
