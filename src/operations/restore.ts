import type { HttpClient } from '../client/index.ts'
import { messageOf, SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import { type ExpectedSizes, planEvent } from './expected-sizes.ts'
import {
  type Forgotten,
  type ForgottenResult,
  type ForgottenWish,
  planForgotten,
  plannedForgotten,
} from './forgotten.ts'
import { openDamaged, openRestorable } from './open-restorable.ts'
import { passwordsFor } from './password-file.ts'
import { noProgress, type Progress } from './progress.ts'
import {
  lostShards,
  missingShards,
  placeOf,
  type Restorable,
  refuseMissing,
  wishOf,
} from './restorable.ts'
import { checkShards } from './restore-check.ts'
import { cleanUp } from './restore-cleanup.ts'
import { partOf, refuseNothing, type ShardContent } from './restore-content.ts'
import { restoreForgotten } from './restore-forgotten.ts'
import { openRestoreHttp } from './restore-http.ts'
import { planRestore, type RestorePlan } from './restore-plan.ts'
import { type RestoredShard, RestoreRun } from './restore-run.ts'
import type { RestoreOptions, RestoreResult } from './restore-wish.ts'
import { openJournal, type RestoreJournal } from './resume.ts'
import { type Loss, lostShard } from './salvage.ts'
import { keepSeries } from './series-selection.ts'
import { type OpenServer, openTarget } from './server.ts'
import { type Staging, startLanes } from './stage-shard.ts'

export type { RestoredShard } from './restore-run.ts'
export type { RestoreOptions, RestoreResult } from './restore-wish.ts'

/**
 * Restores databases that the server does not have yet. Everything that can be checked is checked before anything is
 * changed; every shard is read back. What a run that fails has made is removed where that can be done.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`, `E_INTEGRITY`, `E_TARGET_EXISTS`, `E_LOCKED`, `E_DESTINATION`
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { selection, renames, range } = options
  const damaged: Loss[] = []
  const backup = await openBackup(options, damaged)
  const plan = planRestore(backup, selection, { ...renames, ...options.policies, range })
  const staging = await stagingFor(plan, options)
  try {
    const contents = await checkBackup({ backup, plan }, { ...options, staging }, damaged)
    return { ...(await restoreChecked({ backup, plan, contents }, options)), damaged }
  } finally {
    await staging?.area.close().catch((error: unknown) => warnOfStaging(error, options))
  }
}

/** What was restored is there, and what failed has its reason. */
function warnOfStaging(error: unknown, { progress = noProgress }: RestoreOptions): void {
  const message = `${messageOf(error)}: it holds nothing that is needed, and the next restore removes it`
  progress({ type: 'note', level: 'warning', message })
}

async function restoreChecked(
  checked: Omit<Work, 'forgotten'>,
  options: RestoreOptions,
): Promise<Omit<RestoreResult, 'damaged'>> {
  const { backup, plan, contents } = checked
  const { selection, dryRun, progress = noProgress } = options
  const { name, server } = await openTarget(options.target, dryRun)
  try {
    progress(planEvent('restore', [...contents.values()], sizesOf(contents)))
    const forgotten = planForgotten(backup.data, plan.databases, forgottenWish(options))
    const work = { ...checked, forgotten }
    const done =
      server === undefined
        ? { shards: plannedShards(work), ...plannedForgotten(forgotten) }
        : await carryOut(work, server, { ...options, progress })
    return {
      ...{ target: name, set: backup.set, kind: backup.kind, dryRun, ...done },
      lost: lostShards(backup, selection),
      ...{ expiring: plan.expiring, leftOut: backup.leftOut },
      ...{ durations: plan.durations, subscriptions: plan.subscriptions },
      databases: plan.databases.map(({ database: from, newDatabase: to }) => ({ from, to })),
    }
  } finally {
    await server?.close()
  }
}

/**
 * Opens a place for files that are written as they are checked, so that they are read once. None where it would not do: for what is
 * cut or salvaged, held back, or there in part already; where there is none, what is wrong with the target is found later.
 */
async function stagingFor(
  { databases }: RestorePlan,
  options: RestoreOptions,
): Promise<Staging | undefined> {
  const { target, range, series = {}, limitRate, dryRun, salvage, resume, jobs } = options
  if (!('directory' in target) || dryRun || salvage || resume) return undefined
  if (range !== undefined || keepSeries(series) !== undefined || limitRate !== undefined) {
    return undefined
  }
  const lanes = startLanes(
    databases.flatMap(({ shards }) => shards),
    jobs,
  )
  const { openStaging } = await import('./served-directory.ts')
  const names = databases.map(({ newDatabase }) => newDatabase)
  const area = await openStaging(target, names).catch(() => undefined)
  return area && { area, lanes }
}

async function openBackup(options: RestoreOptions, damaged: Loss[]): Promise<Restorable> {
  const { store, salvage } = options
  const wish = wishOf(options)
  if (!salvage) return await openRestorable(store, wish, options)
  const onDamage = (message: string) => void damaged.push({ file: store.url, message })
  return await openDamaged(store, wish, { ...options, onDamage })
}

/** Checks all that is to be restored, before anything is changed. */
async function checkBackup(
  { backup, plan }: Pick<Work, 'backup' | 'plan'>,
  options: RestoreOptions & { readonly staging: Staging | undefined },
  damaged: Loss[],
): Promise<ReadonlyMap<bigint, ShardContent>> {
  const { selection, salvage } = options
  const stored = plan.databases.flatMap((database) => database.shards)
  try {
    if (salvage)
      damaged.push(...missingShards(backup, selection).map((shard) => lostShard(shard, backup)))
    else refuseMissing(backup, selection)
    const { contents, losses } = await checkShards(stored, { ...options, backup })
    damaged.push(...losses)
    if (contents.size > 0 || damaged.length === 0) return await chosen(contents, backup, options)
    throw new SnapError('E_INTEGRITY', `${placeOf(backup)}: nothing of it can be restored`)
  } catch (error) {
    if (salvage || !(error instanceof SnapError) || error.code !== 'E_INTEGRITY') throw error
    const { code, message, hint = SALVAGE_HINT } = error
    throw new SnapError(code, message, { cause: error, hint })
  }
}

/** Cuts contents to the points that are wanted, if not all are. */
async function chosen(
  contents: ReadonlyMap<bigint, ShardContent>,
  backup: Restorable,
  { range, series = {}, tempDir, signal }: RestoreOptions,
): Promise<ReadonlyMap<bigint, ShardContent>> {
  const keepKey = keepSeries(series)
  if (range === undefined && keepKey === undefined) return contents
  const filter = { ...range, keepKey }
  const parts = [...contents].map(
    ([id, content]) => [id, partOf(content, filter, tempDir)] as const,
  )
  const cut = new Map(parts)
  await refuseNothing(cut.values(), placeOf(backup), signal)
  return cut
}

function sizesOf(contents: ReadonlyMap<bigint, ShardContent>): ExpectedSizes {
  const sizes = [...contents.values()].flatMap(({ shardId, size }) =>
    size ? [{ shardId, ...size }] : [],
  )
  return {
    bytes: new Map(sizes.map(({ shardId, bytes }) => [shardId, bytes])),
    about: sizes.some(({ about }) => about),
  }
}

const SALVAGE_HINT =
  '`snap verify` names every damaged file; an older set may be whole (--set); --salvage restores what is whole of this one'

interface Work {
  readonly backup: Restorable
  readonly plan: RestorePlan
  readonly contents: ReadonlyMap<bigint, ShardContent>
  readonly forgotten: Forgotten
}

type CarryOutOptions = RestoreOptions & { readonly progress: Progress }

async function carryOut(
  work: Work,
  server: OpenServer,
  options: CarryOutOptions,
): Promise<ForgottenResult & Pick<RestoreResult, 'shards'>> {
  const { plan, contents, forgotten } = work
  const { dryRun, limitRate, signal } = options
  const data = await atDestination(() => server.client.metastoreBackup(signal))
  const journal = await journalOf(work, { name: server.name, data }, options)
  const run = new RestoreRun({ ...options, server, contents, journal, limitRate })
  run.checkTarget(plan, data)
  const metaSize = Math.max(...plan.databases.map(({ metaBytes }) => metaBytes.length))
  const http = await openRestoreHttp(server, { ...options, forgotten, metaSize })
  if (dryRun) return { shards: plannedShards(work), ...plannedForgotten(forgotten) }
  const passwords = await passwordsFor(forgotten, data, { ...options, server })
  try {
    const shards = await restoreShards(run, work, {
      ...options,
      ...{ server, data, journal, http },
    })
    const place = { server, http, place: options.http, passwords, signal }
    const result = await restoreForgotten(forgotten, place)
    await journal?.remove()
    return { shards, ...result }
  } finally {
    await passwords?.close()
    await journal?.close()
  }
}

type ShardsOptions = CarryOutOptions & {
  readonly server: OpenServer
  readonly data: Data
  readonly journal: RestoreJournal | undefined
  readonly http: HttpClient | undefined
}

async function restoreShards(
  run: RestoreRun,
  { plan }: Work,
  options: ShardsOptions,
): Promise<RestoredShard[]> {
  try {
    return await run.restoreAll(plan, options.data)
  } catch (error) {
    if (options.disposable) throw error
    throw await undone(error, run, options)
  }
}

/** The queries of a database are not those of some points of it. */
function forgottenWish({
  forgotten,
  range,
  series = {},
  selection,
}: RestoreOptions): ForgottenWish {
  const { queries = false, users = false } = forgotten ?? {}
  const isPart = range !== undefined || keepSeries(series) !== undefined
  return { queries: queries && !isPart && (selection.shards ?? []).length === 0, users }
}

function plannedShards({ plan, contents }: Work): RestoredShard[] {
  const nothing = { newShardId: undefined, bytes: 0, durationMs: 0, resumed: false }
  return plan.databases.flatMap(({ newDatabase, newRetentionPolicy, shards }) =>
    shards
      .filter(({ shardId }) => contents.has(shardId))
      .map(({ database, retentionPolicy, shardId }) => ({
        ...{ database, retentionPolicy, shardId, newDatabase },
        newRetentionPolicy: newRetentionPolicy ?? retentionPolicy,
        ...nothing,
      })),
  )
}

/** A state that cannot be kept matters only to a run that is to go on with it. */
async function journalOf(
  { backup, plan }: Work,
  { name: server, data: { clusterId } }: { readonly name: string; readonly data: Data },
  { stateDir, resume, progress, range, series }: CarryOutOptions,
): Promise<RestoreJournal | undefined> {
  if (stateDir === undefined) return undefined
  try {
    const part = range || keepSeries(series ?? {}) ? { range, series } : undefined
    return await openJournal(stateDir, { backup, plan, part, server, clusterId })
  } catch (error) {
    if (resume || (error instanceof SnapError && error.code === 'E_LOCKED')) throw error
    const message = `this restore cannot be resumed: ${messageOf(error)}`
    progress({ type: 'note', level: 'warning', message })
    return undefined
  }
}

/** Cleans up after a failure, and returns it with what is left to do in its hint. */
async function undone(
  error: unknown,
  { made }: RestoreRun,
  options: Omit<CarryOutOptions, 'http'> & {
    readonly server: OpenServer
    readonly journal: RestoreJournal | undefined
    readonly http: HttpClient | undefined
  },
): Promise<unknown> {
  const { server, http, resume: keep, progress, journal } = options
  const { isClean, hint } = await cleanUp(made, { server, http, keep, progress })
  if (isClean) await journal?.remove().catch(() => {})
  else await journal?.close().catch(() => {})
  if (!(error instanceof SnapError)) return error
  const hints = [error.hint, hint].filter((text) => text !== undefined)
  return new SnapError(error.code, error.message, {
    cause: error,
    hint: hints.length === 0 ? undefined : hints.join('; '),
  })
}
