import type { Store } from '../storage/index.ts'
import type { OpenRestorableOptions } from './open-restorable.ts'
import type { Selection } from './selection.ts'
import { openServer, type ServerPlace } from './server.ts'
import { ServerSource } from './server-source.ts'
import type { ShardSource } from './shard-source.ts'

/** A backup: where its sets are, and which of them. */
export interface BackupPlace extends Pick<OpenRestorableOptions, 'chain' | 'tempDir' | 'progress'> {
  readonly store: Store
  /** The name of a set or a time; default the newest that holds the selection. */
  readonly set: string | Date | undefined
  readonly selection: Selection
  readonly signal: AbortSignal
}

/** A source that is open, and the way to close it. */
export interface OpenSource {
  readonly source: ShardSource
  close(): Promise<void>
}

/**
 * Opens a server, a data directory or a backup.
 * @throws SnapError what {@link openServer} and {@link openRestorable} throw
 */
export async function openSource(place: ServerPlace | BackupPlace): Promise<OpenSource> {
  if (!('store' in place)) {
    const server = await openServer(place)
    return { source: new ServerSource(server), close: () => server.close() }
  }
  const { store, set, selection, tempDir } = place
  const { BackupSource } = await import('./backup-source.ts')
  const { openRestorable } = await import('./open-restorable.ts')
  const { wishOf } = await import('./restorable.ts')
  const backup = await openRestorable(store, wishOf({ set, selection }), place)
  return { source: new BackupSource(store, backup, tempDir), close: async () => {} }
}

/** Opens a source, does some work with it, and closes it. Throws as {@link openSource}, and what `work` throws. */
export async function withSource<T>(
  place: ServerPlace | BackupPlace,
  work: (source: ShardSource) => Promise<T>,
): Promise<T> {
  const { source, close } = await openSource(place)
  try {
    return await work(source)
  } finally {
    await close()
  }
}
