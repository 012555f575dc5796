import type { SetWish } from '../portable/select-set.ts'
import type { Store } from '../storage/index.ts'
import { atDestination } from './at-destination.ts'
import type { ShardName } from './inspect.ts'
import { openRestorable } from './open-restorable.ts'
import { wishOf } from './restorable.ts'
import { createDatabase, refuseExisting } from './restore-database.ts'
import type { Renames } from './restore-names.ts'
import { planRestore } from './restore-plan.ts'
import type { Selection } from './selection.ts'
import type { OpenServer } from './server.ts'

/** Which metadata to upload, and where to. */
export interface UpdateMetaOptions {
  readonly server: OpenServer
  readonly store: Store
  readonly set?: SetWish['set']
  readonly selection: Selection
  readonly renames: Renames
  /** Only check, and say what would be made. */
  readonly dryRun: boolean
  readonly signal: AbortSignal
}

/** What the server made of it. */
export interface UpdatedMeta {
  readonly set: string | undefined
  readonly databases: readonly { readonly from: string; readonly to: string }[]
  /** The shards that are made, as the backup names them. */
  readonly planned: readonly ShardName[]
  /** From the ids in the backup to those on the server; empty after a dry run. */
  readonly shardIds: ReadonlyMap<bigint, bigint>
}

/**
 * Makes the databases of a backup on the server, with policies and empty shards, ready for `uploadShard`.
 * @throws SnapError as a restore does
 */
export async function updateMeta(options: UpdateMetaOptions): Promise<UpdatedMeta> {
  const { server, store, set, selection, renames, dryRun, signal } = options
  const backup = await openRestorable(store, wishOf({ set, selection }), {
    signal,
    chain: 'newest',
  })
  const plan = planRestore(backup, selection, { ...renames, subscriptions: true })
  const data = await atDestination(() => server.client.metastoreBackup(signal))
  for (const database of plan.databases) refuseExisting(database, { data, name: server.name })
  const shardIds = new Map<bigint, bigint>()
  for (const database of dryRun ? [] : plan.databases) {
    for (const [from, to] of await createDatabase(database, server, signal)) shardIds.set(from, to)
  }
  const names = plan.databases.map(({ database, newDatabase }) => ({
    from: database,
    to: newDatabase,
  }))
  const planned = plan.databases.flatMap(({ shards }) =>
    shards.map(({ database, retentionPolicy, shardId }) => ({
      database,
      retentionPolicy,
      shardId,
    })),
  )
  return { set: backup.set, databases: names, planned, shardIds }
}
