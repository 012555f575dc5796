import type { RandomAccess } from '../io/random-access.ts'
import { openWalFiles, type ShardTarOptions } from './shard-tar.ts'
import type { ShardSnapshot } from './snapshot.ts'

/** The files of a shard at one time, by name: TSM files, their tombstones, and what the WAL holds as further TSM files. */
export interface OpenShard {
  readonly files: ReadonlyMap<string, RandomAccess>
  /** What of its WAL cannot be read, one line each; known of a data directory alone. */
  readonly lost?: readonly string[]
  /** Closes all of them. */
  close(): Promise<void>
}

/**
 * Opens the files of a snapshot for reading where they are; only the WAL becomes something new. Closes the snapshot when
 * it is closed, or if it fails.
 */
export async function openShardFiles(
  snapshot: ShardSnapshot,
  options: Omit<ShardTarOptions, 'location'>,
): Promise<OpenShard> {
  try {
    const wal = await openWalFiles(snapshot, options)
    const files = new Map<string, RandomAccess>()
    for (const { name, access, tombstone } of snapshot.tsm) {
      files.set(name, access)
      if (tombstone !== undefined) files.set(tombstone.name, tombstone.access)
    }
    for (const { name, source } of wal) files.set(name, source)
    const close = async () => {
      for (const { source } of wal) await source.close()
      await snapshot.close()
    }
    return { files, close }
  } catch (error) {
    await snapshot.close()
    throw error
  }
}
