import { SnapError } from '../errors.ts'
import type { SetWish } from '../portable/select-set.ts'
import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash } from './check-archive.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import { readBack } from './readback.ts'
import {
  type LostShard,
  lostShards,
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
import { type OpenServer, openTarget, type ServerPlace } from './server.ts'
import { createThrottle, type Throttle } from './throttle.ts'
import { uploadShard } from './upload-shard.ts'

/** What to restore, from where, and how. */
export interface RestoreOptions {
  /** Opened once the backup was found whole. */
  readonly target: ServerPlace
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
  /** `host:port`, or the path of the data directory. */
  readonly target: string
  readonly set: string | undefined
  readonly kind: Restorable['kind']
  readonly databases: readonly { readonly from: string; readonly to: string }[]
  readonly shards: readonly RestoredShard[]
  /** Selected shards that could not be backed up into this set. */
  readonly lost: readonly LostShard[]
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
  const { store, signal, selection, renames, dryRun } = options
  const progress = options.progress ?? noProgress
  const backup = await openRestorable(store, wishOf(options), signal)
  const plan = planRestore(backup, selection, renames)
  refuseMissing(backup, selection)
  const shards = plan.databases.flatMap((database) => database.shards)
  for (const shard of shards) await checkShard(shard, options)
  const { name, server } = await openTarget(options.target, dryRun)
  try {
    if (server !== undefined) await refuseExisting(plan, server, signal)
    progress({ type: 'plan', task: 'restore', shards: shards.length })
    const restored =
      dryRun || server === undefined
        ? shards.map(planned)
        : await new RestoreRun(server, options).restoreAll(plan)
    return {
      ...{ target: name, set: backup.set, kind: backup.kind, dryRun, shards: restored },
      ...{ lost: lostShards(backup, selection), expiring: plan.expiring, leftOut: backup.leftOut },
      databases: plan.databases.map(({ database: from, newDatabase: to }) => ({ from, to })),
    }
  } finally {
    await server?.close()
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
  readonly #server: OpenServer
  readonly #options: RestoreOptions
  readonly #progress: Progress
  readonly #throttle: Throttle

  constructor(server: OpenServer, options: RestoreOptions) {
    this.#server = server
    this.#options = options
    this.#progress = options.progress ?? noProgress
    this.#throttle = createThrottle(options.limitRate)
  }

  async restoreAll({ databases }: RestorePlan): Promise<RestoredShard[]> {
    const restored: RestoredShard[] = []
    for (const database of databases) restored.push(...(await this.#restoreDatabase(database)))
    return restored
  }

  async #restoreDatabase(plan: DatabasePlan): Promise<RestoredShard[]> {
    const { jobs, signal } = this.#options
    const server = this.#server
    const ids = await createDatabase(plan, server, signal)
    try {
      return await mapParallel(plan.shards, { jobs, signal }, (shard, stop) => {
        const newShardId = ids.get(shard.shardId)
        if (newShardId === undefined) throw notMapped(shard, server.name)
        return this.#restoreShard(shard, { plan, newShardId, signal: stop })
      })
    } catch (error) {
      throw this.#leftBehind(error, plan)
    }
  }

  /** Says what a restore that failed half way has left. */
  #leftBehind(error: unknown, { newDatabase }: DatabasePlan): unknown {
    if (!(error instanceof SnapError)) return error
    const database = `database ${JSON.stringify(newDatabase)}`
    const hint = `${database} was made on ${this.#server.name} and is incomplete: drop it before you restore again`
    // That it was stopped is then all that is said of the error.
    if (this.#options.signal.aborted)
      this.#progress({ type: 'note', level: 'error', message: hint })
    return new SnapError(error.code, error.message, { cause: error, hint })
  }

  async #restoreShard(
    shard: RestorableShard,
    { plan, newShardId, signal }: { plan: DatabasePlan; newShardId: bigint; signal: AbortSignal },
  ): Promise<RestoredShard> {
    const { tempDir } = this.#options
    const { client } = this.#server
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
