import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import type { ListedShard } from '../meta/index.ts'
import { targetMetastore } from './at-destination.ts'
import { BackupSource } from './backup-source.ts'
import type { LeftOutPoints } from './export-tally.ts'
import type { ForgottenResult } from './forgotten.ts'
import { mergeDirectory } from './merge-directory.ts'
import { type MergedSides, mergeForgotten } from './merge-forgotten.ts'
import type { MergeCounts } from './merge-points.ts'
import { lengthenPolicies, type StoredInto } from './merge-policies.ts'
import { replaceShards } from './merge-replace.ts'
import { MergeRun } from './merge-run.ts'
import { MergeServer } from './merge-server.ts'
import type { MergeTarget } from './merge-target.ts'
import type { MergedShard, MergeOptions } from './merge-wish.ts'
import { openRestorable } from './open-restorable.ts'
import { planShards } from './plan-shards.ts'
import { noProgress, type Progress } from './progress.ts'
import { checkReplaceable } from './replace-check.ts'
import { wishOf } from './restorable.ts'
import { checkShards } from './restore-check.ts'
import { refuseOld } from './restore-http.ts'
import { checkNames, newNameOf, type Renames } from './restore-names.ts'
import type { ChangedDuration } from './restore-policies.ts'
import { keepSeries } from './series-selection.ts'
import { type OpenServer, openServer, type ServerPlace } from './server.ts'
import { openHttp } from './server-http.ts'
import { createThrottle, type Throttle } from './throttle.ts'

/** What a merge did. */
export interface MergeResult extends MergeCounts, ForgottenResult {
  readonly target: string
  readonly set: string | undefined
  readonly kind: 'snap' | 'stock' | 'legacy'
  readonly databases: readonly { readonly from: string; readonly to: string }[]
  readonly shards: readonly MergedShard[]
  /** What could not be written over HTTP. */
  readonly unwritten: readonly LeftOutPoints[]
  /** What the backup itself lacks. */
  readonly lost: readonly string[]
  /** Live shards that were dropped and made anew, or would be. */
  readonly replaced: readonly bigint[]
  /** Policies that keep points longer than before, or would. */
  readonly durations: readonly ChangedDuration[]
  readonly dryRun: boolean
}

/**
 * Puts points of a backup into databases that a live server has, or the directories of a stopped one. Everything that can be checked
 * is checked before anything is changed; nothing that is there is lost, whatever fails, and a run that failed can be run again.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`, `E_INTEGRITY`, `E_USAGE`, `E_DESTINATION`
 */
export async function merge(options: MergeOptions): Promise<MergeResult> {
  const { store, selection, range, renames, signal, jobs, tempDir, dryRun } = options
  const progress = options.progress ?? noProgress
  const backup = await openRestorable(store, wishOf(options), { ...options, progress })
  const source = new BackupSource(store, backup, tempDir)
  const plan = await planShards({ source, selection, range, signal })
  const names = [...new Set(plan.shards.map(({ database }) => database))]
  checkNames(names, selection, renames)
  const ids = new Set(plan.shards.map(({ shard }) => shard.id))
  const checked = backup.shards.filter(({ shardId }) => ids.has(shardId))
  await checkShards(checked, { store, jobs, tempDir, progress, signal, backup, salvage: false })
  const server = await targetMetastore(() => openServer(placeOf(options)))
  try {
    const http = await openMergeHttp(server, options)
    const within = { ...options, progress, source, throttle: createThrottle(options.limitRate) }
    const target = targetOf({ server, http }, within)
    const run = beginRun(target, within)
    const stored = plan.shards.map((shard) => ({ shard, into: intoOf(shard, renames) }))
    const durations = await run.checkTarget(stored)
    await checkBefore({ target, server, durations }, stored, within)
    if (!dryRun) await lengthenPolicies(durations, { server, http, progress, signal })
    const replaced = await replaceIn({ server, http }, stored, within)
    if (replaced.size > 0) await run.checkTarget(stored)
    progress({ type: 'plan', task: 'merge', shards: stored.length })
    const merged = await run.mergeAll(stored)
    const shards = merged.map((shard) => ({ ...shard, ...replaced.get(shard.shardId) }))
    refuseNothing(shards, within)
    const newNames = namesOf(names, options)
    const forgotten = await mergeForgotten({ backup, names: newNames, server, http }, options)
    return {
      ...forgotten,
      ...{ target: target.name, set: backup.set, kind: backup.kind },
      ...{ shards, ...sumOf(shards), dryRun },
      replaced: options.replace?.shards ?? [],
      durations,
      ...{ unwritten: target.unwritten(), lost: source.losses() },
      databases: names.map((from) => ({ from, to: newNameOf(renames, from) })),
    }
  } finally {
    await server.close()
  }
}

/** What continuous queries and users are looked for under, and what they become. */
function namesOf(names: readonly string[], { selection, renames }: MergeOptions) {
  const { retentionPolicy } = selection
  const { newRetentionPolicy } = renames
  return names.map((database) => ({
    ...{ database, newDatabase: newNameOf(renames, database) },
    ...{ retentionPolicy, newRetentionPolicy },
  }))
}

/** Names at the target. */
function intoOf({ database, retentionPolicy }: ListedShard, renames: Renames) {
  return {
    database: newNameOf(renames, database),
    retentionPolicy: renames.newRetentionPolicy ?? retentionPolicy,
  }
}

/** A merge makes no directory, and to count points nothing is changed: influxd may still run. */
function placeOf({ target, dryRun }: MergeOptions): ServerPlace {
  if ('host' in target) return target
  return { ...target, mustExist: true, mode: dryRun ? 'read-only' : target.mode }
}

async function openMergeHttp(
  server: OpenServer,
  { http: place, signal }: MergeOptions,
): Promise<HttpClient | undefined> {
  if (server.directory !== undefined) return undefined
  const http = await openHttp(server, place, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    if (!(error instanceof SnapError)) throw error
    throw new SnapError('E_DESTINATION', `--merge needs the HTTP API: ${error.message}`, {
      cause: error,
      hint: error.hint ?? 'give it with --http',
    })
  })
  await refuseOld(http, signal)
  return http
}

type Sides = Pick<MergedSides, 'server' | 'http'>

type RunOptions = MergeOptions & {
  readonly progress: Progress
  readonly source: BackupSource
  readonly throttle: Throttle
  readonly byFile?: boolean
}

/**
 * Before policies or shards of the server are changed, all of the merge is tried without a change: a field of another type or a
 * selection of points that the backup has none of ends it here.
 */
async function checkBefore(
  { target, server, durations }: Changes,
  stored: readonly StoredInto[],
  options: RunOptions,
): Promise<void> {
  const { replace: wish, dryRun, signal } = options
  const into = stored.map((each) => each.into)
  const isReplaced = wish !== undefined && wish.shards.length > 0
  const planned = { server, into, durations, signal }
  const isBegun = isReplaced && (await checkReplaceable(wish, planned))
  // The run that began has tried it, and a shard that is being dropped cannot be read.
  if (dryRun || isBegun || (durations.length === 0 && !isReplaced)) return
  const run = beginRun(target, { ...options, progress: noProgress, dryRun: true })
  await run.checkTarget(stored)
  refuseNothing(await run.mergeAll(stored), options)
}

interface Changes {
  readonly target: MergeTarget
  readonly server: OpenServer
  readonly durations: readonly ChangedDuration[]
}

/** Replaces the shards that are to be, and returns how the stored ones concerned compared with them. */
async function replaceIn(
  { server, http }: Sides,
  stored: readonly StoredInto[],
  options: RunOptions,
): Promise<ReadonlyMap<bigint, MergeCounts>> {
  const { replace: wish, dryRun, http: httpPlace } = options
  if (wish === undefined || wish.shards.length === 0 || dryRun) return new Map()
  if (http === undefined) {
    throw new SnapError('E_USAGE', '--replace-shard needs a running server: --host')
  }
  const quiet = { ...options, progress: noProgress }
  const all = { range: undefined, series: {}, onConflict: 'live' } as const
  const target = targetOf({ server, http }, { ...quiet, byFile: true })
  return await replaceShards(
    stored,
    { ...options, server, http, httpPlace, wish },
    {
      preview: () => beginRun(target, { ...quiet, dryRun: true }),
      byFile: () => beginRun(target, quiet),
      of: (source) => beginRun(target, { ...quiet, ...all, source }),
    },
  )
}

function targetOf({ server, http }: Sides, options: RunOptions): MergeTarget {
  const { directory } = server
  if (directory !== undefined) return mergeDirectory({ ...options, server, directory })
  if (http === undefined) throw new SnapError('E_FAILED', `${server.name} has no HTTP API`)
  const { user, password } = options.http
  return new MergeServer({ ...options, server, http, httpCredentials: { user, password } })
}

function beginRun(target: MergeTarget, options: RunOptions): MergeRun {
  return new MergeRun({ ...options, target, keepKey: keepSeries(options.series) })
}

/** A selection of points that the backup has none of is more likely a mistake than a wish. */
function refuseNothing(
  shards: readonly MergedShard[],
  { range, series, store, source }: RunOptions,
): void {
  const { added, equal, conflicting } = sumOf(shards)
  if (added + equal + conflicting > 0 || source.losses().length > 0) return
  if (range === undefined && keepSeries(series) === undefined) return
  throw new SnapError('E_NOTHING_MATCHED', `${store.url} has no points of this selection`)
}

function sumOf(shards: readonly MergedShard[]): MergeCounts {
  const sum = (name: keyof MergeCounts) => shards.reduce((total, shard) => total + shard[name], 0)
  return { added: sum('added'), equal: sum('equal'), conflicting: sum('conflicting') }
}
