import type { StagingArea } from '../datadir/index.ts'
import type { Store } from '../storage/index.ts'
import { checkStoredHash, StoredHash } from './check-archive.ts'
import type { ArchivePart, RestorableShard } from './restorable.ts'
import {
  type ContentSize,
  type SentFile,
  type ShardContent,
  wholeContent,
} from './restore-content.ts'
import { isStoredDamage } from './salvage-image.ts'
import { describedFiles } from './upload-shard.ts'

/** How a shard is staged. */
export interface StageShardOptions {
  readonly store: Store
  readonly staging: StagingArea
  readonly tempDir: string
  readonly size: ContentSize | undefined
  /** Told of the bytes of the archive that were read so far. */
  readonly onBytes: (bytes: number) => void
  readonly signal: AbortSignal
}

/** Returns the one archive that a shard can be staged from: its catalog has a hash of it, so that one reading proves it. */
export function stageablePart({ parts, isUnion }: RestorableShard): HashedPart | undefined {
  const [part, ...older] = parts
  if (part?.stored === undefined || older.length > 0 || isUnion) return undefined
  return { ...part, stored: part.stored }
}

type HashedPart = ArchivePart & { readonly stored: NonNullable<ArchivePart['stored']> }

/**
 * Checks a shard and writes its files in one reading of its archive, see {@link stageablePart}: they are whole and on the disk when
 * this returns, under names that nobody looks for, and the archive had the hash of its catalog.
 * @throws SnapError `E_INTEGRITY` as {@link checkStoredHash} where the archive has another hash, and what else is wrong with it, or
 * with the place
 */
export async function stageShard(
  shard: RestorableShard,
  part: HashedPart,
  { store, staging, tempDir, size, onBytes, signal }: StageShardOptions,
): Promise<ShardContent> {
  const seen = new StoredHash()
  const open = (opened?: AbortSignal) =>
    part.open(opened, async (chunk) => {
      await seen.update(chunk)
      onBytes(seen.size)
    })
  const read = wholeContent({ ...shard, parts: [{ ...part, open }] }, tempDir)
  const files: SentFile[] = []
  try {
    const bodies = describedFiles(read.entries(signal), shard, { sent: files })
    const staged = await staging.stage(String(shard.shardId), bodies, signal)
    await seen.check(part.stored, `${store.url}: ${part.name}`)
    return { ...wholeContent(shard, tempDir, size), staged: { ...staged, files } }
  } catch (error) {
    // Whatever was met first of the damage, it is told in the same words.
    if (isStoredDamage(error)) await checkStoredHash(store, part, { signal })
    throw error
  }
}
