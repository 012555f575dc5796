import type { HttpClient } from '../client/index.ts'
import { EXIT_CODES, SnapError } from '../errors.ts'
import type { WantedShard } from '../portable/reusable.ts'
import { formatFingerprint } from '../tsm/fingerprint.ts'
import { confirmShards } from './confirm-shards.ts'
import { type FetchedArchive, type FetchOptions, fetchShard, hasChanged } from './fetch-shard.ts'
import {
  DROPPED,
  type FetchedShards,
  type Found,
  type LeftOutShard,
  NO_POINTS,
  UNCHANGED,
  type UnchangedShard,
} from './fetched-shards.ts'
import type { ShardName } from './inspect.ts'
import { mapParallel, Turns } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import { retryShard } from './retry-shard.ts'
import { type Output, type ReuseFetch, reuseArchive, reuseUnchanged } from './reuse-shard.ts'
import { isSameAgain } from './same-again.ts'
import type { SetWriter } from './set-writer.ts'
import { evidenceOf, type HashedFile } from './shard-evidence.ts'
import type { ShardData } from './shard-sums.ts'
import { createThrottle } from './throttle.ts'

/** How the shards of a backup are fetched. */
export interface FetchShardsOptions
  extends Omit<FetchOptions, 'throttle' | 'fetched' | 'onBytes' | 'onReceived'>,
    Omit<ReuseFetch, 'throttle'> {
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
  /** What notes of finished shards say of them, by their ids; without it there are none. */
  readonly notes?: Notes | undefined
  /** Bytes that shards are expected to be, by their ids, for progress. */
  readonly sizes?: ReadonlyMap<bigint, number> | undefined
  /** The server's HTTP API, to compare what came with what the server counts. */
  readonly http?: HttpClient | undefined
}

/** What is noted of finished shards, for a run that goes on with them. */
export interface Notes {
  readonly clusterId: bigint
  readonly shards: ReadonlyMap<bigint, WantedShard>
}

type Fetch = FetchShardsOptions & FetchOptions

/**
 * Shards that have come, and are checked to their end, synced and noted while others come: those of one size that are fetched at
 * the same time end at the same time, and nothing would come meanwhile.
 */
const FINISHING = 1

/** Fetches shards into a set, several at a time, each tried again after a failure that may pass. */
export async function fetchShards(
  set: SetWriter,
  shards: readonly ShardName[],
  options: FetchShardsOptions,
): Promise<FetchedShards> {
  const { limitRate, jobs, signal, since, reuse } = options
  const isFetched = ({ shardId }: ShardName) => !reuse?.unchanged.has(shardId)
  // Of those that are asked for changes since a time few may have any.
  const fetched = since === undefined ? shards.filter(isFetched).length : 1
  const fetch = { ...options, fetched, throttle: createThrottle(limitRate) }
  const lists = { shards: [], dropped: [], skipped: [], unchanged: [], empty: [] }
  const files = options.http && new Map<bigint, readonly HashedFile[]>()
  const found: Found = { ...lists, files, fetchedBytes: 0 }
  const turns = new Turns(jobs)
  await mapParallel(shards, { jobs: jobs + FINISHING, signal }, async (shard, stop) => {
    const onReceived = await turns.take()
    try {
      stop.throwIfAborted()
      await fetchOrLeaveOut({ set, found }, shard, { ...fetch, onReceived, signal: stop })
    } finally {
      onReceived()
    }
  })
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
    fetchedBytes: found.fetchedBytes,
  }
}

/** Marks the shards as complete that the server's own figures show to be; one that was cut is an error, or skipped. */
async function confirm({ set, found }: Output, fetch: Fetch): Promise<void> {
  const { http, signal, skipErrors, progress = noProgress } = fetch
  const open = found.shards.filter(({ complete }) => !complete)
  // The server counts whole shards: chosen points of one have no figures to be compared with.
  if (http === undefined || open.length === 0 || isPart(fetch)) return
  const remove = async ({ shardId }: ShardName) => {
    found.shards = found.shards.filter((shard) => shard.shardId !== shardId)
    found.files?.delete(shardId)
    await set.unstageShard(shardId)
  }
  // The shards are done for whoever counts them.
  const again = { ...fetch, progress: notesOf(progress) }
  const cut: (ShardName & { readonly error: SnapError })[] = []
  const complete = await confirmShards(
    open.map((shard) => ({ shard, files: found.files?.get(shard.shardId) ?? [] })),
    {
      ...{ http, signal },
      refetch: async (shard) => {
        await remove(shard)
        await fetchOrLeaveOut({ set, found }, shard, again)
        return found.files?.get(shard.shardId)
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

async function fetchOrLeaveOut(output: Output, shard: ShardName, fetch: Fetch): Promise<void> {
  const { found } = output
  const leaveOut = (list: LeftOutShard[], reason: string) => {
    fetch.progress?.({ type: 'shardSkipped', shard, reason })
    list.push({ ...shard, reason })
  }
  try {
    fetch.progress?.({ type: 'shardStart', shard, bytes: fetch.sizes?.get(shard.shardId) })
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

async function fetchOnce(output: Output, shard: ShardName, fetch: Fetch): Promise<void> {
  const { progress = noProgress } = fetch
  const skip = (reason: string) => progress({ type: 'shardSkipped', shard, reason })
  const unchanged = await findUnchanged(shard, fetch)
  if (unchanged !== undefined) {
    output.found.unchanged.push(unchanged)
    return skip(UNCHANGED)
  }
  if (await reuseUnchanged(output, shard, fetch)) return skip(UNCHANGED)
  const started = performance.now()
  const onBytes = (bytes: number) => progress({ type: 'shardProgress', shard, bytes })
  const staged = await fetchShard(output.set, shard, { ...fetch, onBytes })
  if (staged === undefined) {
    output.found.empty.push(shard)
    return skip(NO_POINTS)
  }
  const { archive, data } = staged
  const stored = await keep(output, staged, fetch)
  const durationMs = performance.now() - started
  const { tarSize: bytes } = archive
  progress({ type: 'shardDone', shard, bytes, stored, points: data?.all.points, durationMs })
}

/**
 * Takes a staged shard into the set, or names the older archive that it is no different from.
 * @returns the bytes that it takes there
 */
async function keep({ set, found }: Output, staged: FetchedArchive, fetch: Fetch): Promise<number> {
  const { shard, archive, files, data, state } = staged
  const { tarSize: bytes, gzSize: stored } = archive
  found.fetchedBytes += bytes
  found.files?.set(shard.shardId, files)
  const complete = await isComplete(set, staged, fetch)
  // What the source has lost is to be said of every set: such an archive is never taken for another one.
  const isEvident = !isPart(fetch) && (data?.flaws.length ?? 0) === 0
  const evidence = isEvident ? evidenceOf(files, { clock: fetch.clock, state }) : undefined
  const older = fetch.reuse?.candidates.get(shard.shardId)
  const isHeld = older?.isPending !== true && older?.evidence.content === evidence?.content
  if (older !== undefined && evidence !== undefined && isHeld) {
    // Its files were made anew or touched, with nothing new in them.
    await set.unstageShard(shard.shardId)
    const reused = await reuseArchive(set, older, { complete, evidence, signal: fetch.signal })
    if (reused !== undefined) found.shards.push(reused)
    return 0
  }
  const told = { bytes, stored, complete, ...(evidence && { evidence }) }
  found.shards.push({ ...shard, ...told, ...(data && pointsOf(data)), ...dataOf(data) })
  const { clusterId, shards } = fetch.notes ?? {}
  const place = shards?.get(shard.shardId)
  if (clusterId !== undefined && place !== undefined && evidence !== undefined) {
    await set.noteFinished({ ...place, complete, evidence, ...dataOf(data) }, clusterId)
  }
  return stored
}

function isPart({ range, keepKey }: Fetch): boolean {
  return range !== undefined || keepKey !== undefined
}

function pointsOf({ all, inexact, flaws }: ShardData) {
  const fingerprint = formatFingerprint(all.fingerprint)
  const exact = inexact === undefined
  return { points: all.points, fingerprint, exact, ...(flaws.length > 0 && { flaws }) }
}

/** What the catalog says of its points. */
function dataOf(data: ShardData | undefined) {
  if (data === undefined) return {}
  const { series, points } = data.all
  return { data: { series, points, exact: data.inexact === undefined } }
}

/** Tells whether a staged shard is complete. One that cannot be asked for again is taken out: it is fetched anew, or skipped. */
async function isComplete(set: SetWriter, staged: FetchedArchive, fetch: Fetch): Promise<boolean> {
  if (staged.isComplete || fetch.twice !== true || isPart(fetch)) return staged.isComplete
  try {
    return await isSameAgain(staged, fetch)
  } catch (error) {
    await set.unstageShard(staged.shard.shardId)
    throw error
  }
}
