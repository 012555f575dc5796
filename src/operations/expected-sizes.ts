import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { catalogName } from '../portable/names.ts'
import { readOwnCatalog } from '../portable/set-files.ts'
import type { SetListing } from '../portable/sets.ts'
import type { ShardName } from './inspect.ts'
import type { PlanEvent, Progress } from './progress.ts'
import type { ShardSource } from './shard-source.ts'
import { readShardStats } from './shard-stats.ts'

/** What is known of the sizes of shards before they are moved. */
export interface ExpectedSizes {
  /** Bytes, by shard id; shards of which nothing is known are not in it. */
  readonly bytes: ReadonlyMap<bigint, number>
  /** True if they may come out a little different. */
  readonly about: boolean
}

/** Who may know how large the shards of a backup are. */
export interface SizeSources {
  readonly source: Pick<ShardSource, 'readSizes'>
  readonly http?: HttpClient | undefined
  /** The target with its older sets. */
  readonly listing: SetListing
  /** ClusterID of the server that is backed up. */
  readonly clusterId: bigint
  readonly signal: AbortSignal
}

/**
 * Finds out about how large whole shards are: from the files of a data directory, else from the figures of influxd, else from the
 * newest set. Whatever cannot be had is left out, and no error.
 */
async function expectSizes(
  shards: readonly ShardName[],
  sources: SizeSources,
): Promise<ExpectedSizes> {
  const { source, http, signal } = sources
  const ids = shards.map(({ shardId }) => shardId)
  const onDisk = await source.readSizes?.(ids, signal)
  if (onDisk !== undefined) return { bytes: onDisk, about: true }
  const older = await sizesOfNewest(shards, sources)
  const live = http && (await orNothing(() => readShardStats(http, signal), signal))
  const bytes = new Map(older)
  for (const id of ids) {
    const { diskBytes = 0 } = live?.get(id) ?? {}
    // What is only in the cache yet has no size on the disk.
    if (diskBytes > 0) bytes.set(id, diskBytes)
  }
  return { bytes, about: true }
}

/** A transfer that is about to begin. */
export interface Announced extends SizeSources {
  readonly task: string
  readonly progress: Progress
  /** Only some points are taken: whatever is known of whole shards says nothing then. */
  readonly isPart: boolean
  /** Only shards that prove to have changed are taken: the total is not known then. */
  readonly since?: bigint | undefined
  /** Shards that need not be moved. */
  readonly unchanged?: ReadonlyMap<bigint, unknown> | undefined
}

/** Tells what a run is about to move, as far as that is known. Returns the sizes of shards that are known. */
export async function announce(
  shards: readonly ShardName[],
  options: Announced,
): Promise<ReadonlyMap<bigint, number>> {
  const { task, progress, isPart, since, unchanged } = options
  const moved = shards.filter(({ shardId }) => !unchanged?.has(shardId))
  const isOpen = isPart || moved.length === 0
  const { bytes, about } = isOpen ? NOTHING_KNOWN : await expectSizes(moved, options)
  const sizes = new Map([...bytes, ...[...(unchanged?.keys() ?? [])].map((id) => [id, 0] as const)])
  const { bytes: total, ...plan } = planEvent(task, shards, { bytes: sizes, about })
  progress(since === undefined && !isOpen ? { ...plan, bytes: total } : plan)
  return sizes
}

const NOTHING_KNOWN: ExpectedSizes = { bytes: new Map(), about: false }

/** Reads the sizes that shards had in the newest set of the same server; nothing if there is no such set. */
async function sizesOfNewest(
  shards: readonly ShardName[],
  { listing, clusterId, signal }: SizeSources,
): Promise<ReadonlyMap<bigint, number>> {
  const newest = listing.sets.find(({ kind }) => kind === 'snap')
  if (newest === undefined) return new Map()
  const name = { set: newest.name, name: catalogName(newest.name) }
  const catalog = await orNothing(() => readOwnCatalog(listing.source, name, signal), signal)
  if (catalog?.server.clusterId !== clusterId) return new Map()
  const wanted = new Map(shards.map((shard) => [shard.shardId, shard.database]))
  const same = catalog.shards?.filter(({ shardId, database }) => wanted.get(shardId) === database)
  return new Map(same?.map(({ shardId, tarSize }) => [shardId, tarSize]))
}

/** Whoever needs the same to go on finds out what is wrong with it, and says so. */
async function orNothing<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (signal.aborted || !(error instanceof SnapError)) throw error
    return undefined
  }
}

/** The event that a run begins with: the total is in it if the size of every shard is known. */
export function planEvent(
  task: string,
  shards: readonly Pick<ShardName, 'shardId'>[],
  { bytes, about }: ExpectedSizes,
): PlanEvent {
  const sizes = shards.map(({ shardId }) => bytes.get(shardId))
  const known = sizes.filter((size) => size !== undefined)
  const total = known.reduce((sum, size) => sum + size, 0)
  const isKnown = known.length === shards.length && shards.length > 0
  return {
    ...{ type: 'plan', task, shards: shards.length },
    ...(isKnown && { bytes: total }),
    ...(about && known.length > 0 && { about }),
  }
}
