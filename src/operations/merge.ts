import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import type { ListedShard } from '../meta/index.ts'
import { BackupSource } from './backup-source.ts'
import type { LeftOutPoints } from './export-tally.ts'
import type { ForgottenResult } from './forgotten.ts'
import { mergeForgotten } from './merge-forgotten.ts'
import type { MergeCounts } from './merge-points.ts'
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
  const stored = new Set(plan.shards.map(({ shard }) => shard.id))
  const checked = backup.shards.filter(({ shardId }) => stored.has(shardId))
  await checkShards(checked, { store, jobs, tempDir, signal, backup, salvage: false })
  const { name, server } = await openTarget(options.target, false)
  if (server === undefined) throw new SnapError('E_FAILED', `${name} was not opened`)
  try {
    const http = await openMergeHttp(server, options)
    const run = beginRun({ server, http }, { ...options, progress, source })
    await run.checkTarget(plan.shards.map((shard) => ({ shard, into: intoOf(shard, renames) })))
    progress({ type: 'plan', task: 'merge', shards: plan.shards.length })
    const shards: MergedShard[] = []
    for (const shard of plan.shards)
      shards.push(await run.mergeStored(shard, intoOf(shard, renames)))
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

function beginRun(
  { server, http }: { readonly server: OpenServer; readonly http: HttpClient },
  options: MergeOptions & { readonly progress: Progress; readonly source: BackupSource },
): MergeRun {
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
