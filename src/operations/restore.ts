import type { Client } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import type { SetWish } from '../portable/select-set.ts'
import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash } from './check-archive.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import { readBack } from './readback.ts'
import {
  openRestorable,
  type Restorable,
  type RestorableShard,
  refuseMissing,
} from './restorable.ts'
import { atDestination, createDatabase, refuseExisting } from './restore-database.ts'
import {
  type DatabasePlan,
  type ExpiringShard,
  planRestore,
  type Renames,
  type RestorePlan,
} from './restore-plan.ts'
import type { Selection } from './selection.ts'
import type { OpenServer } from './server.ts'
import { createThrottle, type Throttle } from './throttle.ts'
import { uploadShard } from './upload-shard.ts'

/** What to restore, from where, and how. */
export interface RestoreOptions {
  readonly server: OpenServer
  readonly store: Store
  /** The name of a set or a time; default the newest that holds the selection. */
  readonly set?: string | Date | undefined
  readonly selection: Selection
  readonly renames: Renames
  /** Shards uploaded at the same time. */
  readonly jobs: number
  readonly limitRate?: number | undefined
  readonly tempDir: string
  /** Read every shard back and compare. */
  readonly readBack: boolean
  readonly dryRun: boolean
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** A shard that was restored. */
export interface RestoredShard extends ShardName {
  /** Its id on the server; undefined after a dry run. */
  readonly newShardId: bigint | undefined
  readonly bytes: number
}

/** What a restore did. */
export interface RestoreResult {
  readonly set: string | undefined
  readonly kind: Restorable['kind']
  readonly databases: readonly { readonly from: string; readonly to: string }[]
  readonly shards: readonly RestoredShard[]
  /** Shards that the target's retention will drop at its next check. */
  readonly expiring: readonly ExpiringShard[]
  readonly leftOut: Restorable['leftOut']
  readonly dryRun: boolean
}

/**
 * Restores databases that the server does not have yet. Everything that can be checked is checked before anything is
 * changed; every shard is read back.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`, `E_INTEGRITY`, `E_TARGET_EXISTS`, `E_DESTINATION`
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { store, signal, selection, renames } = options
  const progress = options.progress ?? noProgress
  const backup = await openRestorable(store, wishOf(options), signal)
  const plan = planRestore(backup, selection, renames)
  refuseMissing(backup)
  const shards = plan.databases.flatMap((database) => database.shards)
  for (const shard of shards) await checkShard(shard, options)
  await refuseExisting(plan, options.server, signal)
  progress({ type: 'plan', task: 'restore', shards: shards.length })
  const restored = options.dryRun
    ? shards.map(planned)
    : await new RestoreRun(options).restoreAll(plan)
  return {
    ...{ set: backup.set, kind: backup.kind, leftOut: backup.leftOut, expiring: plan.expiring },
    databases: plan.databases.map(({ database, newDatabase }) => ({
      from: database,
      to: newDatabase,
    })),
    shards: restored,
    dryRun: options.dryRun,
  }
}

function planned({ database, retentionPolicy, shardId }: ShardName): RestoredShard {
  return { database, retentionPolicy, shardId, newShardId: undefined, bytes: 0 }
}

function wishOf({ set, selection }: RestoreOptions): SetWish {
  const { databases = [], retentionPolicy, shards = [] } = selection
  return { set, database: databases[0], retentionPolicy, shardId: shards[0] }
}

/** Checks what is stored before it goes anywhere: by hash where a catalog has one, else by reading all of it. */
async function checkShard(shard: RestorableShard, options: RestoreOptions): Promise<void> {
  const { store, signal, tempDir } = options
  for (const part of shard.parts) {
    if (part.stored === undefined) await checkArchive(shard, part, { tempDir, signal })
    else await checkStoredHash(store, part, signal)
  }
}

class RestoreRun {
  readonly #options: RestoreOptions
  readonly #client: Client
  readonly #progress: Progress
  readonly #throttle: Throttle

  constructor(options: RestoreOptions) {
    this.#options = options
    this.#client = options.server.client
    this.#progress = options.progress ?? noProgress
    this.#throttle = createThrottle(options.limitRate)
  }

  async restoreAll({ databases }: RestorePlan): Promise<RestoredShard[]> {
    const restored: RestoredShard[] = []
    for (const database of databases) restored.push(...(await this.#restoreDatabase(database)))
    return restored
  }

  async #restoreDatabase(plan: DatabasePlan): Promise<RestoredShard[]> {
    const { server, jobs, signal } = this.#options
    const ids = await createDatabase(plan, server, signal)
    try {
      return await mapParallel(plan.shards, { jobs, signal }, (shard, stop) => {
        const newShardId = ids.get(shard.shardId)
        if (newShardId === undefined) throw notMapped(shard, server.name)
        return this.#restoreShard(shard, { plan, newShardId, signal: stop })
      })
    } catch (error) {
      throw leftBehind(error, plan, server.name)
    }
  }

  async #restoreShard(
    shard: RestorableShard,
    { plan, newShardId, signal }: { plan: DatabasePlan; newShardId: bigint; signal: AbortSignal },
  ): Promise<RestoredShard> {
    const { tempDir } = this.#options
    const client = this.#client
    const started = performance.now()
    const target = {
      newShardId,
      database: plan.newDatabase,
      retentionPolicy: plan.newRetentionPolicy ?? shard.retentionPolicy,
    }
    let bytes = 0
    const onBytes = (total: number) => {
      bytes = total
      this.#progress({ type: 'shardProgress', shard, bytes })
    }
    this.#progress({ type: 'shardStart', shard })
    const options = { client, tempDir, throttle: this.#throttle, onBytes, signal }
    const sent = await atDestination(() => uploadShard(shard, target, options))
    if (this.#options.readBack) {
      const restored = { ...target, shardId: newShardId }
      await atDestination(() => readBack(shard, { shard: restored, sent }, options))
    }
    this.#progress({ type: 'shardDone', shard, bytes, durationMs: performance.now() - started })
    const { database, retentionPolicy, shardId } = shard
    return { database, retentionPolicy, shardId, newShardId, bytes }
  }
}

function notMapped(shard: ShardName, server: string): SnapError {
  return new SnapError(
    'E_DESTINATION',
    `${server} made no shard for shard ${describeShard(shard)}, although it was in the metadata`,
  )
}

/** Says what a restore that failed half way has left. */
function leftBehind(error: unknown, { newDatabase }: DatabasePlan, server: string): unknown {
  if (!(error instanceof SnapError)) return error
  return new SnapError(error.code, error.message, {
    cause: error,
    hint: `database ${JSON.stringify(newDatabase)} was made on ${server} and is incomplete: drop it before you restore again`,
  })
}
