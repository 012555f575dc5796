import { availableParallelism } from 'node:os'
import type { StagedFiles, StagePlace, StagingArea } from '../datadir/index.ts'
import { type Thread, threadOnDemand } from '../io/thread.ts'
import type { Store } from '../storage/index.ts'
import type { ShardName } from './inspect.ts'
import type { RestorableShard } from './restorable.ts'
import { type ContentSize, type ShardContent, wholeContent } from './restore-content.ts'
import { type HashedPart, stageArchive } from './stage-archive.ts'

/** What a thread is asked: to stage a shard out of an archive that is a file. */
export interface StageQuestion {
  /** The archive. */
  readonly path: string
  readonly part: Pick<HashedPart, 'tarSize' | 'stored'>
  readonly shard: ShardName
  readonly place: StagePlace
  readonly tempDir: string
}

/** A thread that stages shards. */
interface Lane {
  readonly open: () => Thread<StageQuestion, StagedFiles> | undefined
  /** Shards that it has now. */
  busy: number
}

/** More threads would wait for the disk. */
const MAX_LANES = 4
/** Archives that are less than this together are staged before a thread is as fast as this one, bytes. */
const HERE_SIZE = 48 * 1024 * 1024

/** Their program is beside this module, and in the bundle; sources that are run as they are have none. */
const LANES = Array.from({ length: MAX_LANES }, (): Lane => {
  const program = new URL('./stage-program.js', import.meta.url)
  return { open: threadOnDemand('a thread that stages shards', program), busy: 0 }
})

/** Where shards are staged. */
export interface Staging {
  readonly area: StagingArea
  readonly lanes: readonly Lane[]
}

/**
 * Has threads started that stage shards, as many as help: each reads, hashes, writes and checks whole shards, so that no byte goes
 * from one thread to another. None where there is little to stage.
 */
export function startLanes(shards: readonly RestorableShard[], jobs: number): readonly Lane[] {
  const sizes = shards.map((shard) => stageablePart(shard)?.stored.size ?? 0)
  if (sizes.reduce((sum, size) => sum + size, 0) < HERE_SIZE) return []
  const lanes = LANES.slice(0, Math.min(jobs, availableParallelism()))
  return lanes.filter(({ open }) => open() !== undefined)
}

/** How a shard is staged. */
export interface StageShardOptions {
  readonly store: Store
  readonly staging: Staging
  readonly tempDir: string
  readonly size: ContentSize | undefined
  /** Told of the bytes of the archive that were read so far. */
  readonly onBytes: (bytes: number) => void
  readonly signal: AbortSignal
}

/** Returns the one archive that a shard can be staged from: its catalog has a hash of it, so that one reading proves it. */
export function stageablePart({ parts, isUnion }: RestorableShard): HashedPart | undefined {
  const [part, ...older] = parts
  if (part === undefined || older.length > 0 || isUnion) return undefined
  const { stored, tarSize } = part
  return stored && tarSize !== undefined ? { ...part, stored, tarSize } : undefined
}

/**
 * Checks a shard and writes its files under names that nobody looks for, see {@link stageArchive}: on a thread, if there are some
 * and they can read the archive.
 * @throws SnapError as {@link stageArchive}; `E_FAILED` if the thread has died
 */
export async function stageShard(
  shard: RestorableShard,
  part: HashedPart,
  { staging, size, onBytes, ...options }: StageShardOptions,
): Promise<ShardContent> {
  const { store, tempDir, signal } = options
  const place = await staging.area.makePlace(String(shard.shardId))
  const path = store.pathOf?.(part.name)
  const lane = staging.lanes.toSorted((a, b) => a.busy - b.busy)[0]
  const thread = path === undefined ? undefined : lane?.open()
  const content = (staged: StagedFiles) => ({ ...wholeContent(shard, tempDir, size), staged })
  if (path === undefined || lane === undefined || thread === undefined) {
    return content(await stageArchive(shard, part, { ...options, place, onBytes }))
  }
  const { database, retentionPolicy, shardId } = shard
  const { tarSize, stored } = part
  const question = {
    ...{ path, part: { tarSize, stored }, place, tempDir },
    shard: { database, retentionPolicy, shardId },
  }
  lane.busy++
  try {
    return content(await thread.work(question, { signal, onReport: onBytes }))
  } finally {
    lane.busy--
  }
}
