import { messageOf, SnapError } from '../errors.ts'
import { type Data, findDatabase, listShards } from '../meta/index.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import type { Progress } from './progress.ts'
import type { MadeDatabase } from './restore-cleanup.ts'
import type { ShardContent } from './restore-content.ts'
import { createDatabase, findShardIds, refuseExisting } from './restore-database.ts'
import type { DatabasePlan, RestorePlan } from './restore-plan.ts'
import { restoreShard } from './restore-shard.ts'
import type { RestoreJournal } from './resume.ts'
import type { OpenServer } from './server.ts'
import { createThrottle, type Throttle } from './throttle.ts'

/** A shard that was restored. */
export interface RestoredShard extends ShardName {
  /** Its names at the target. */
  readonly newDatabase: string
  readonly newRetentionPolicy: string
  /** Its id on the server; undefined after a dry run. */
  readonly newShardId: bigint | undefined
  /** Of its files; 0 after a dry run. */
  readonly bytes: number
  readonly durationMs: number
  /** True if an earlier run had restored it, which was read back and found right. */
  readonly resumed: boolean
}

/** How a restore is carried out. */
export interface RunOptions {
  readonly server: OpenServer
  /** What to restore of each shard, by its id in the backup; a shard without content stays empty. */
  readonly contents: ReadonlyMap<bigint, ShardContent>
  /** Where it is noted what is done; undefined for nowhere. */
  readonly journal: RestoreJournal | undefined
  /** Go on with what the journal says. */
  readonly resume: boolean
  readonly jobs: number
  readonly attempts: number
  readonly limitRate: number | undefined
  readonly tempDir: string
  readonly readBack: boolean
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** So long, in ms, a run that is stopped waits for the answer that tells which shards were made for it. */
const ANSWER_GRACE_MS = 5000

/** Makes the databases of a plan and fills their shards. */
export class RestoreRun {
  readonly #options: RunOptions
  readonly #throttle: Throttle
  /** Databases of an earlier run that this one goes on with, by their new names. */
  readonly #left = new Map<string, MadeDatabase>()
  readonly #made: MadeDatabase[] = []
  #journal: RestoreJournal | undefined

  constructor(options: RunOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#throttle = createThrottle(options.limitRate)
  }

  /** What has been made so far, or was found and gone on with. */
  get made(): readonly MadeDatabase[] {
    return this.#made
  }

  /**
   * Looks at what the server has. A database that is to be made must not be there, unless it is one to go on with.
   * @throws SnapError `E_TARGET_EXISTS`
   */
  checkTarget({ databases }: RestorePlan, data: Data): void {
    const { server, resume } = this.#options
    for (const plan of databases) {
      const { newDatabase } = plan
      const noted = this.#journal?.database(newDatabase)
      if (findDatabase(data, newDatabase) === undefined) {
        this.#journal?.forget(plan)
      } else if (resume && noted !== undefined) {
        this.#left.set(newDatabase, this.#goOnWith(plan, data))
      } else {
        const hint =
          noted === undefined
            ? undefined
            : 'a restore of the same was interrupted: --resume goes on'
        refuseExisting(plan, { data, name: server.name }, hint)
      }
    }
  }

  /** Restores everything. */
  async restoreAll({ databases }: RestorePlan, data: Data): Promise<RestoredShard[]> {
    const restored: RestoredShard[] = []
    for (const plan of databases) {
      const left = this.#left.get(plan.newDatabase)
      const made = left ?? newlyMade(plan)
      this.#made.push(made)
      if (left === undefined) await this.#create(made)
      else await this.#makeMissing(made, data)
      restored.push(...(await this.#fill(made)))
    }
    return restored
  }

  #goOnWith(plan: DatabasePlan, data: Data): MadeDatabase {
    const { server } = this.#options
    const ids = this.#journal?.database(plan.newDatabase)?.ids ?? findShardIds(data, plan)
    const live = new Set(shardsOf(data, plan.newDatabase).map(({ shardId }) => shardId))
    const gone = [...(ids?.values() ?? [])].find((id) => !live.has(id))
    if (ids === undefined || gone !== undefined) {
      const what = gone === undefined ? 'is another one' : `has no shard ${gone} any more`
      const name = JSON.stringify(plan.newDatabase)
      throw new SnapError(
        'E_TARGET_EXISTS',
        `database ${name} on ${server.name} ${what}: the restore that was interrupted cannot go on`,
        { hint: 'drop the database and restore without --resume' },
      )
    }
    const finished = plan.shards.map(({ shardId }) => shardId).filter((id) => this.#isFinished(id))
    const begun = new Set(plan.shards.map(({ shardId }) => shardId))
    return { plan, ids, begun, finished: new Set(finished), isWrittenTo: false }
  }

  #isFinished(shardId: bigint): boolean {
    return this.#journal?.isFinished(shardId) ?? false
  }

  async #create(made: MadeDatabase): Promise<void> {
    const { server, signal } = this.#options
    const { newDatabase } = made.plan
    await this.#note((journal) => journal.addDatabase(newDatabase))
    const ids = await createDatabase(made.plan, server, withGrace(signal, ANSWER_GRACE_MS))
    made.ids = ids
    await this.#note((journal) => journal.addDatabase(newDatabase, ids))
  }

  /** A run that was killed while it made the shards in a directory may not have come to the last of them. */
  async #makeMissing({ plan, finished }: MadeDatabase, data: Data): Promise<void> {
    const { directory } = this.#options.server
    if (directory === undefined || finished.size > 0) return
    for (const { database, retentionPolicy, shardId } of shardsOf(data, plan.newDatabase)) {
      try {
        await directory.createShard(database, retentionPolicy, shardId)
      } catch (error) {
        // It has files, so it was made.
        if (!(error instanceof SnapError) || error.code !== 'E_TARGET_EXISTS') throw error
      }
    }
  }

  async #fill(made: MadeDatabase): Promise<RestoredShard[]> {
    const { contents, jobs, signal } = this.#options
    const shards = made.plan.shards.flatMap(({ shardId }) => contents.get(shardId) ?? [])
    return await mapParallel(shards, { jobs, signal }, (content, stop) =>
      this.#restoreShard(content, made, stop),
    )
  }

  async #restoreShard(
    content: ShardContent,
    made: MadeDatabase,
    signal: AbortSignal,
  ): Promise<RestoredShard> {
    const { server, progress, readBack } = this.#options
    const { database, retentionPolicy, shardId, size } = content
    const shard = { database, retentionPolicy, shardId }
    const newShardId = made.ids?.get(shardId)
    if (newShardId === undefined) throw notMapped(shard, server.name)
    const started = performance.now()
    progress({ type: 'shardStart', shard, bytes: size?.bytes })
    const wasFinished = made.finished.has(shardId)
    const before = wasFinished ? 'all' : this.#left.has(made.plan.newDatabase) ? 'some' : 'nothing'
    made.begun.add(shardId)
    const target = {
      newShardId,
      database: made.plan.newDatabase,
      retentionPolicy: made.plan.newRetentionPolicy ?? retentionPolicy,
    }
    const restored =
      wasFinished && !readBack
        ? { bytes: 0, found: true, extra: 0 }
        : await restoreShard(content, target, {
            ...this.#options,
            ...{ before, throttle: this.#throttle, signal },
            onBytes: (bytes) => progress({ type: 'shardProgress', shard, bytes }),
          })
    const { bytes, extra } = restored
    if (extra > 0) this.#noteWriter(made, { ...target, shardId: newShardId }, extra)
    made.finished.add(shardId)
    if (!wasFinished) await this.#note((journal) => journal.addShard(shardId))
    const durationMs = performance.now() - started
    progress({ type: 'shardDone', shard, bytes, durationMs })
    return {
      ...{ ...shard, newDatabase: target.database, newRetentionPolicy: target.retentionPolicy },
      newShardId,
      bytes,
      durationMs,
      resumed: restored.found && before !== 'nothing',
    }
  }

  #noteWriter(made: MadeDatabase, shard: ShardName, extra: number): void {
    made.isWrittenTo = true
    const points = `${extra} more ${extra === 1 ? 'point' : 'points'}`
    const message = `something writes to shard ${describeShard(shard)}: it has ${points} than were restored`
    this.#options.progress({ type: 'note', level: 'warning', message })
  }

  /** Notes what is done. A journal that cannot be written only makes a later run do more again. */
  async #note(write: (journal: RestoreJournal) => Promise<void>): Promise<void> {
    if (this.#journal === undefined) return
    try {
      await write(this.#journal)
    } catch (error) {
      this.#journal = undefined
      const message = `this restore cannot be resumed: ${messageOf(error)}`
      this.#options.progress({ type: 'note', level: 'warning', message })
    }
  }
}

/** Returns a signal that is aborted so much later than `signal`. */
function withGrace(signal: AbortSignal, ms: number): AbortSignal {
  const late = new AbortController()
  const start = () => setTimeout(() => late.abort(signal.reason), ms).unref()
  if (signal.aborted) late.abort(signal.reason)
  else signal.addEventListener('abort', start, { once: true })
  return late.signal
}

function newlyMade(plan: DatabasePlan): MadeDatabase {
  return { plan, ids: undefined, begun: new Set(), finished: new Set(), isWrittenTo: false }
}

function shardsOf(data: Data, name: string): ShardName[] {
  return listShards(data)
    .filter(({ database }) => database === name)
    .map(({ database, retentionPolicy, shard }) => ({
      database,
      retentionPolicy,
      shardId: shard.id,
    }))
}

function notMapped(shard: ShardName, server: string): SnapError {
  return new SnapError(
    'E_DESTINATION',
    `${server} made no shard for shard ${describeShard(shard)}, although it was in the metadata`,
  )
}
