import { BackupSource } from './backup-source.ts'
import { openStore } from './open-store.ts'
import { openRestorable, wishOf } from './restorable.ts'
import type { Selection } from './selection.ts'
import { openServer, type ServerPlace } from './server.ts'
import { ServerSource } from './server-source.ts'
import type { ShardSource } from './shard-source.ts'

/** A backup, by its place, and which of its sets. */
export interface BackupPlace {
  readonly from: string
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
  if (!('from' in place)) {
    const server = await openServer(place)
    return { source: new ServerSource(server), close: () => server.close() }
  }
  const { from, set, selection, signal } = place
  const store = openStore(from)
  const backup = await openRestorable(store, wishOf({ set, selection }), signal)
  return { source: new BackupSource(store, backup), close: async () => {} }
}
