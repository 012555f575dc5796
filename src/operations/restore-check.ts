import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash } from './check-archive.ts'
import { mapParallel } from './parallel.ts'
import type { Restorable, RestorableShard } from './restorable.ts'
import { type ShardContent, wholeContent } from './restore-content.ts'
import { type Loss, salvageShard } from './salvage.ts'
import { isStoredDamage } from './salvage-image.ts'

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
    else await checkStoredHash(store, part, { signal })
  }
}

/** What was found in stored shards. */
export interface CheckedShards {
  /** What to restore of each, by its id in the backup. */
  readonly contents: ReadonlyMap<bigint, ShardContent>
  /** What of them is damaged; empty unless they were to be salvaged. */
  readonly losses: readonly Loss[]
}

/**
 * Checks shards. With `salvage` damaged ones are no error: what is left of them is found out.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkShards(
  shards: readonly RestorableShard[],
  options: CheckOptions & { readonly backup: Restorable; readonly salvage: boolean },
): Promise<CheckedShards> {
  const { jobs, signal, salvage, tempDir } = options
  const checked = await mapParallel(shards, { jobs, signal }, async (shard, stop) => {
    const within = { ...options, signal: stop }
    try {
      await checkShard(shard, within)
      return { content: wholeContent(shard, tempDir), losses: [] }
    } catch (error) {
      if (!salvage || !isStoredDamage(error)) throw error
      return await salvageShard(shard, within)
    }
  })
  const contents = checked.flatMap(({ content }) => content ?? [])
  return {
    contents: new Map(contents.map((content) => [content.shardId, content])),
    losses: checked.flatMap(({ losses }) => losses),
  }
}
