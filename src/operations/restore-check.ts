import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash } from './check-archive.ts'
import { mapParallel } from './parallel.ts'
import type { RestorableShard } from './restorable.ts'
import { type ShardContent, wholeContent } from './restore-content.ts'

/** How stored shards are checked before they go anywhere. */
export interface CheckOptions {
  readonly store: Store
  readonly jobs: number
  readonly tempDir: string
  readonly signal: AbortSignal
}

/**
 * Checks what is stored before it goes anywhere: by hash where a catalog has one, else by reading all of it.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkShard(
  shard: RestorableShard,
  { store, tempDir, signal }: Omit<CheckOptions, 'jobs'>,
): Promise<void> {
  for (const part of shard.parts) {
    if (part.stored === undefined) await checkArchive(shard, part, { tempDir, signal })
    else await checkStoredHash(store, part, signal)
  }
}

/** Checks shards and returns what to restore of each, by its id. */
export async function checkShards(
  shards: readonly RestorableShard[],
  options: CheckOptions,
): Promise<ReadonlyMap<bigint, ShardContent>> {
  const { jobs, signal, tempDir } = options
  await mapParallel(shards, { jobs, signal }, (shard, stop) =>
    checkShard(shard, { ...options, signal: stop }),
  )
  return new Map(shards.map((shard) => [shard.shardId, wholeContent(shard, tempDir)]))
}
