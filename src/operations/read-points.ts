import { SnapError } from '../errors.ts'
import type { FieldPoints } from '../formats/points.ts'
import { type MergedKey, mergeTsm } from '../tsm/merge.ts'
import { newestTsm, type Wanted } from '../tsm/newest.ts'
import type { ExactRange } from './exact-range.ts'
import { DROPPED } from './fetched-shards.ts'
import type { ShardName } from './inspect.ts'
import { noProgress, type Progress } from './progress.ts'
import { retryShard } from './retry-shard.ts'
import type { KeepKey } from './series-selection.ts'
import type { ShardFiles, ShardSource } from './shard-source.ts'
import { sourceFailure } from './source-errors.ts'
import type { Throttle } from './throttle.ts'
import { sourcesOf } from './tsm-sources.ts'

/** Which points of shards are read, and how. */
export interface ReadPointsOptions {
  readonly source: ShardSource
  readonly range?: ExactRange | undefined
  readonly keepKey?: KeepKey | undefined
  /** Only so many points of each key, the newest: what is still wanted of a key, and none of it after that. */
  readonly newest?: Wanted | undefined
  readonly tempDir: string
  readonly throttle: Throttle
  /** Times a shard is tried in all. */
  readonly attempts: number
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** The wanted points of a shard. */
export interface OpenPoints {
  /** Read once, and only until {@link OpenPoints.close}. */
  readonly points: AsyncIterable<FieldPoints>
  /** Of the files they are in. */
  readonly bytes: number
  close(): Promise<void>
}

/**
 * Opens a shard and reads its wanted points as influxd would: tombstones applied, of points with equal times those of
 * the last file, the WAL included.
 * @returns undefined if the server dropped the shard meanwhile
 * @throws SnapError what the source throws, damage as {@link ShardSource.damage} says it; reading the points does too
 */
export async function openPoints(
  shard: ShardName,
  options: ReadPointsOptions,
): Promise<OpenPoints | undefined> {
  const opened = await openFiles(shard, options)
  if (opened === undefined) return undefined
  const sizes = [...opened.files.values()].map(({ size }) => size)
  return {
    points: readPoints([opened], options),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    close: () => opened.close(),
  }
}

/**
 * Reads the wanted points of shards that are open, as {@link openPoints} does: several shards of one policy, in the order
 * of their times, as if they were one.
 */
export async function* readPoints(
  opened: readonly Pick<ShardFiles, 'files'>[],
  {
    source,
    range,
    keepKey,
    newest,
    signal,
  }: Pick<ReadPointsOptions, 'range' | 'keepKey' | 'newest' | 'signal'> & {
    readonly source: Pick<ShardSource, 'damage'>
  },
): AsyncGenerator<MergedKey, void, undefined> {
  const merged = async function* () {
    const sources = await Promise.all(opened.map(({ files }) => sourcesOf(files)))
    const filter = { ...range, keepKey }
    if (newest === undefined) yield* mergeTsm(sources.flat(), filter)
    else yield* newestTsm(sources.flat(), filter, newest)
  }
  const guard = { source, signal }
  for await (const { key, type, blocks } of guarded(merged(), guard)) {
    yield { key, type, blocks: guarded(blocks, guard) }
  }
}

/** Opens the files of a shard; undefined if the server dropped it meanwhile. */
export async function openFiles(
  shard: ShardName,
  options: ReadPointsOptions,
): Promise<ShardFiles | undefined> {
  const { source, range, progress = noProgress, signal } = options
  const onBytes = (bytes: number) => progress({ type: 'shardProgress', shard, bytes })
  progress({ type: 'shardStart', shard })
  try {
    const open = () => source.openShard({ shard, range }, { ...options, onBytes })
    return await retryShard(shard, open, options)
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'E_SOURCE') throw error
    if (!(await source.wasDropped(shard, signal))) throw error
    progress({ type: 'shardSkipped', shard, reason: DROPPED })
    return undefined
  }
}

/** As {@link sourceErrors}, until it is stopped. */
async function* guarded<T>(
  items: AsyncIterable<T>,
  { source, signal }: { source: Pick<ShardSource, 'damage'>; signal: AbortSignal },
): AsyncGenerator<T, void, undefined> {
  try {
    for await (const item of items) {
      signal.throwIfAborted()
      yield item
    }
  } catch (error) {
    throw sourceFailure(error, source)
  }
}
