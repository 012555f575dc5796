import { SnapError } from '../errors.ts'
import type { FieldPoints } from '../formats/points.ts'
import { mergeTsm } from '../tsm/merge.ts'
import { sourcesOf } from './digest.ts'
import { DROPPED, type LeftOutShard } from './fetch-shards.ts'
import type { ShardName } from './inspect.ts'
import { noProgress, type Progress } from './progress.ts'
import { retryShard } from './retry-shard.ts'
import type { KeepKey } from './series-selection.ts'
import type { ExactRange, ShardFiles, ShardSource } from './shard-source.ts'
import { sourceErrors } from './source-errors.ts'
import type { Throttle } from './throttle.ts'

/** Which points of shards are read, and how. */
export interface ReadPointsOptions {
  readonly source: ShardSource
  readonly range?: ExactRange | undefined
  readonly keepKey?: KeepKey | undefined
  readonly tempDir: string
  readonly throttle: Throttle
  /** Times a shard is tried in all. */
  readonly attempts: number
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** What is told of a shard besides its points. */
export interface ShardEvents {
  /** Its files are open, so many bytes of them. */
  onOpen?(bytes: number): void
  /** The server dropped it meanwhile: that is no error, there are no points. */
  onDropped(shard: LeftOutShard): void
}

/**
 * Reads the wanted points of a shard as influxd would: tombstones applied, of points with equal times those of the last
 * file, the WAL included.
 * @throws SnapError what the source throws, damage as {@link ShardSource.damage} says it
 */
export async function* readPoints(
  shard: ShardName,
  options: ReadPointsOptions,
  events: ShardEvents,
): AsyncGenerator<FieldPoints, void, undefined> {
  const { source, range, keepKey, signal } = options
  const opened = await openOrDropped(shard, options)
  if (opened === undefined) {
    events.onDropped({ ...shard, reason: DROPPED })
    return
  }
  const sizes = [...opened.files.values()].map(({ size }) => size)
  events.onOpen?.(sizes.reduce((sum, size) => sum + size, 0))
  try {
    const merged = async function* () {
      yield* mergeTsm(await sourcesOf(opened.files), { ...range, keepKey })
    }
    for await (const { key, type, blocks } of sourceErrors(merged(), source)) {
      signal.throwIfAborted()
      yield { key, type, blocks: sourceErrors(untilStopped(blocks, signal), source) }
    }
  } finally {
    await opened.close()
  }
}

async function openOrDropped(
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

async function* untilStopped<T>(
  items: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  for await (const item of items) {
    signal.throwIfAborted()
    yield item
  }
}
