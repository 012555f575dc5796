import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import type { ListedShard } from '../meta/index.ts'
import { BackupSource } from './backup-source.ts'
import type { LeftOutPoints } from './export-tally.ts'
import type { ForgottenResult } from './forgotten.ts'
import { mergeForgotten } from './merge-forgotten.ts'
import type { MergeCounts } from './merge-points.ts'
import { replaceShards, type StoredInto } from './merge-replace.ts'
import { MergeRun } from './merge-run.ts'
import type { MergedShard, MergeOptions } from './merge-wish.ts'
import { planShards } from './plan-shards.ts'
import { noProgress, type Progress } from './progress.ts'
import { openRestorable, wishOf } from './restorable.ts'
import { checkShards } from './restore-check.ts'
import { checkNames, newNameOf, type Renames } from './restore-names.ts'
import { keepSeries } from './series-selection.ts'
import { type OpenServer, openTarget } from './server.ts'
import { openHttp } from './server-http.ts'
import { createThrottle } from './throttle.ts'

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
  readonly dryRun: boolean
}

/**
 * Puts points of a backup into databases that a live server has. Everything that can be checked is checked before anything is
 * changed; nothing that the server has is lost, whatever fails, and a run that failed can be run again.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`, `E_INTEGRITY`, `E_USAGE`, `E_DESTINATION`
 */
export async function merge(options: MergeOptions): Promise<MergeResult> {
  const { store, selection, range, renames, signal, jobs, tempDir, dryRun } = options
  const progress = options.progress ?? noProgress
  const backup = await openRestorable(store, wishOf(options), signal)
  const source = new BackupSource(store, backup)
  const plan = await planShards({ source, selection, range, signal })
  const names = [...new Set(plan.shards.map(({ database }) => database))]
  checkNames(names, selection, renames)
  const ids = new Set(plan.shards.map(({ shard }) => shard.id))
  const checked = backup.shards.filter(({ shardId }) => ids.has(shardId))
  await checkShards(checked, { store, jobs, tempDir, signal, backup, salvage: false })
  const { name, server } = await openTarget(options.target, false)
  if (server === undefined) throw new SnapError('E_FAILED', `${name} was not opened`)
  try {
    const http = await openMergeHttp(server, options)
    const within = { ...options, progress, source }
    const run = beginRun({ server, http }, within)
    const stored = plan.shards.map((shard) => ({ shard, into: intoOf(shard, renames) }))
    await run.checkTarget(stored)
    const replaced = await replaceIn({ server, http }, stored, within)
    if (replaced.size > 0) await run.checkTarget(stored)
    progress({ type: 'plan', task: 'merge', shards: stored.length })
    const shards: MergedShard[] = []
    for (const { shard, into } of stored) {
      const merged = await run.mergeStored(shard, into)
      shards.push({ ...merged, ...replaced.get(shard.shard.id) })
    }
    const { retentionPolicy } = selection
    const { newRetentionPolicy } = renames
    const newNames = names.map((database) => ({
      ...{ database, newDatabase: newNameOf(renames, database) },
      ...{ retentionPolicy, newRetentionPolicy },
    }))
    const forgotten = await mergeForgotten({ backup, names: newNames, server, http }, options)
    return {
      ...forgotten,
      ...{ target: name, set: backup.set, kind: backup.kind, shards, ...sumOf(shards), dryRun },
      replaced: options.replace?.shards ?? [],
      ...{ unwritten: run.tally.leftOut(), lost: source.losses() },
      databases: names.map((from) => ({ from, to: newNameOf(renames, from) })),
    }
  } finally {
    await server.close()
  }
}

/** Names at the target. */
function intoOf({ database, retentionPolicy }: ListedShard, renames: Renames) {
  return {
    database: newNameOf(renames, database),
    retentionPolicy: renames.newRetentionPolicy ?? retentionPolicy,
  }
}

async function openMergeHttp(
  server: OpenServer,
  { http: place, signal }: MergeOptions,
): Promise<HttpClient> {
  if (server.directory !== undefined) {
    throw new SnapError('E_USAGE', '--merge needs a running server: --host', {
      hint: 'start influxd on these directories, or restore into another database',
    })
  }
  return await openHttp(server, place, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    if (!(error instanceof SnapError)) throw error
    throw new SnapError('E_DESTINATION', `--merge needs the HTTP API: ${error.message}`, {
      cause: error,
      hint: error.hint ?? 'give it with --http',
    })
  })
}

/** Who is merged into. */
interface Sides {
  readonly server: OpenServer
  readonly http: HttpClient
}

type RunOptions = MergeOptions & {
  readonly progress: Progress
  readonly source: BackupSource
  readonly byFile?: boolean
}

/** Replaces the shards that are to be, and returns how the stored ones concerned compared with them. */
async function replaceIn(
  sides: Sides,
  stored: readonly StoredInto[],
  options: RunOptions,
): Promise<ReadonlyMap<bigint, MergeCounts>> {
  const { replace: wish, dryRun, http: httpPlace } = options
  if (wish === undefined || wish.shards.length === 0 || dryRun) return new Map()
  const quiet = { ...options, progress: noProgress }
  const all = { range: undefined, series: {}, onConflict: 'live' } as const
  return await replaceShards(
    stored,
    { ...options, ...sides, httpPlace, wish },
    {
      preview: () => beginRun(sides, { ...quiet, dryRun: true }),
      byFile: () => beginRun(sides, { ...quiet, byFile: true }),
      of: (source) => beginRun(sides, { ...quiet, ...all, source, byFile: true }),
    },
  )
}

function beginRun({ server, http }: Sides, options: RunOptions): MergeRun {
  const { http: place, series, limitRate } = options
  const throttle = createThrottle(limitRate)
  const { user, password } = place
  const shared = { server, http, httpCredentials: { user, password }, throttle }
  return new MergeRun({ ...options, ...shared, keepKey: keepSeries(series) })
}

function sumOf(shards: readonly MergedShard[]): MergeCounts {
  const sum = (name: keyof MergeCounts) => shards.reduce((total, shard) => total + shard[name], 0)
  return { added: sum('added'), equal: sum('equal'), conflicting: sum('conflicting') }
}
