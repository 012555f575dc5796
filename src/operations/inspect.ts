import { SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { spool } from '../io/spool.ts'
import { parseEntryName, type TarEntry } from '../tar/index.ts'
import { openTsm } from '../tsm/reader.ts'
import { decodeTombstones } from '../tsm/tombstone.ts'
import { MAX_TIME, MIN_TIME } from '../tsm/values.ts'

/** What is known of one file of a shard after it was read once. */
export interface InspectedFile {
  /** Name inside the shard's directory. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Bytes of the tar before it. */
  readonly offset: number
  readonly mtime: Date
  readonly kind: 'tsm' | 'tombstone' | 'other'
  /** What the index says; TSM files only. */
  readonly tsm?: TsmSummary | undefined
}

/** What the index of a TSM file says. Times are nanoseconds since the epoch. */
export interface TsmSummary {
  readonly keys: number
  readonly blocks: number
  readonly minTime: bigint
  readonly maxTime: bigint
}

/** A shard by its names and id. */
export interface ShardName {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
}

/** The shard that entries must belong to, and where a large one may be spooled. */
export interface InspectOptions {
  readonly shard: ShardName
  readonly tempDir: string
}

/**
 * Reads an entry of a shard's tar to its end and checks it: named inside the shard, a TSM file with a sound index and
 * a right CRC on every block, a tombstone that decodes.
 * @throws SnapError `E_FORMAT` or `E_INTEGRITY` naming the file and what is wrong with it
 */
export async function inspectEntry(
  entry: TarEntry,
  { shard, tempDir }: InspectOptions,
): Promise<InspectedFile> {
  const file = fileInShard(entry.name, shard)
  const { size, offset, mtime } = entry
  if (file.endsWith('.tsm')) {
    const bytes = await spool(entry.body, { name: entry.name, tempDir })
    const tsm = await summarizeTsm(bytes)
    return { name: file, size, offset, mtime, kind: 'tsm', tsm }
  }
  if (file.endsWith('.tombstone')) {
    for await (const _ of decodeTombstones(entry.body, entry.name));
    return { name: file, size, offset, mtime, kind: 'tombstone' }
  }
  return { name: file, size, offset, mtime, kind: 'other' }
}

/**
 * Returns the file name of an entry that belongs to `shard`.
 * @throws SnapError `E_FORMAT` if it belongs to another
 */
export function fileInShard(entryName: string, shard: ShardName): string {
  const { database, retentionPolicy, shardId, file } = parseEntryName(entryName)
  const same =
    database === shard.database &&
    retentionPolicy === shard.retentionPolicy &&
    shardId === shard.shardId
  if (same) return file
  throw new SnapError('E_FORMAT', `entry ${entryName} is not of shard ${describeShard(shard)}`)
}

/** Names a shard for messages. */
export function describeShard({ database, retentionPolicy, shardId }: ShardName): string {
  return `${shardId} (${database}.${retentionPolicy})`
}

/** Reads all of a TSM file, every CRC included, and closes `bytes`. */
async function summarizeTsm(bytes: RandomAccess): Promise<TsmSummary> {
  try {
    const file = await openTsm(bytes)
    const summary = { keys: 0, blocks: 0, minTime: MAX_TIME, maxTime: MIN_TIME }
    for await (const key of file.keys()) {
      summary.keys++
      for (const entry of key.entries) {
        await file.readBlock(key, entry)
        summary.blocks++
        if (entry.minTime < summary.minTime) summary.minTime = entry.minTime
        if (entry.maxTime > summary.maxTime) summary.maxTime = entry.maxTime
      }
    }
    return summary
  } finally {
    await bytes.close()
  }
}
