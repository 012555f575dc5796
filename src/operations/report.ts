import { SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import type { Catalog } from '../portable/catalog.ts'
import { inScope } from '../portable/holds.ts'
import { listSets, type SetListing } from '../portable/listing.ts'
import { nothingToTake } from '../portable/select-set.ts'
import { readHead, readMeta } from '../portable/set-files.ts'
import type { Store } from '../storage/index.ts'
import { summarizeSet } from './list.ts'
import { noProgress, type Progress } from './progress.ts'
import { type PruneOptions, prune } from './prune.ts'
import { findAnomalies } from './report-anomalies.ts'
import { describeCoverage, totalsOf } from './report-coverage.ts'
import type { LastChecks, Report, ReportSet } from './report-data.ts'
import { rhythmOf } from './report-rhythm.ts'
import { type FollowedShard, type ReadSet, ShardFollower } from './report-shards.ts'
import type { StockArchives } from './set-contents.ts'

/** What to report, and as of when. */
export interface ReportOptions {
  readonly store: Store
  readonly now: Date
  /** How old the newest whole verification or drill may be, ms. */
  readonly checkedWithin: number
  /** The rules to ask prune about; nothing is deleted. */
  readonly retention?: Pick<PruneOptions, 'keep' | 'minSets'> | undefined
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** What is kept of a set after it was read. */
interface SeenSet {
  readonly report: Omit<ReportSet, 'comparable'>
  /** What was asked of it; undefined if its size says nothing. */
  readonly scope: string | undefined
  readonly covers: (policy: Pick<FollowedShard, 'database' | 'retentionPolicy'>) => boolean
}

/**
 * Reads the small files of every set of a target once, one set at a time, and says what is held, how that has grown, how it was
 * checked and what may be wrong. No key, no lock and no server is needed; nothing is changed.
 * @throws SnapError `E_NO_BACKUP` if there is no set, `E_INTEGRITY` if there is nothing but one without its manifest
 */
export async function report(options: ReportOptions): Promise<Report> {
  const { store, now, progress = noProgress, signal } = options
  const listing = await listSets(store, signal)
  if (listing.sets.length === 0) throw await nothingToTake(listing, signal)
  const follower = new ShardFollower()
  const seen: SeenSet[] = []
  const stock: StockArchives = new Map()
  let clusterId: bigint | undefined
  progress({ type: 'plan', task: 'report', shards: listing.sets.length, unit: 'set', isStep: true })
  for (const [index, set] of listing.sets.toReversed().entries()) {
    signal.throwIfAborted()
    progress({ type: 'counted', done: index })
    const { summary, contents } = await summarizeSet(listing, set, { stock, signal })
    if (contents === undefined) {
      seen.push({ ...UNREADABLE, report: { ...summary, sharesWith: 0 } })
      continue
    }
    follower.add({ index, summary, contents })
    seen.push(seenSet({ index, summary, contents }))
    clusterId = contents.catalog?.server.clusterId ?? clusterId
  }
  const metastore = await newestMetastore(listing, signal)
  const outlook = await askPrune(options)
  const sets = reportSets(seen, outlook?.fates).reverse()
  const databases = describeCoverage(follower.shards.values(), {
    ...{ now, metastore, setsOf: countSets(sets) },
    newestFor: (policy) => seen.findLastIndex(({ covers }) => covers(policy)),
  })
  const found = {
    ...{ source: store.url, generated: now, clusterId, sets, databases },
    ...{ rhythm: rhythmOf(sets, now), checks: lastChecks(sets), retention: outlook?.retention },
  }
  const { checkedWithin } = options
  const shrunk = follower.shrunk.toReversed()
  return {
    ...found,
    anomalies: findAnomalies(found, { listing, metastore, shrunk, checkedWithin }),
  }
}

const UNREADABLE: Omit<SeenSet, 'report'> = { scope: undefined, covers: () => false }

function seenSet({ summary, contents }: ReadSet): SeenSet {
  const { catalog, shards, files } = contents
  const older = files.filter(({ isShared }) => isShared).map(({ name }) => name.split('.', 1)[0])
  const isWhole = catalog?.unchanged === undefined
  const { points, series } = isWhole ? totalsOf(shards) : {}
  return {
    report: {
      ...summary,
      ...(catalog?.durationMs !== undefined && { durationMs: catalog.durationMs }),
      ...(points !== undefined && { points, series }),
      sharesWith: new Set(older).size,
    },
    scope: isWhole ? scopeOf(catalog) : undefined,
    covers: ({ database, retentionPolicy }) =>
      catalog === undefined
        ? summary.databases.includes(database)
        : isOfWholeShards(catalog) && inScope(catalog, { database, retentionPolicy }),
  }
}

/** A word for what a set was to hold. */
function scopeOf(catalog: Catalog | undefined): string {
  if (catalog === undefined) return 'stock'
  const { since: _, ...selection } = catalog.selection
  return JSON.stringify([catalog.kind, selection], (_key, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  )
}

function isOfWholeShards({ selection: { measurements = [], tags = [] } }: Catalog): boolean {
  return measurements.length + tags.length === 0
}

/** Of sets that were to hold different things only those are compared that hold most. */
function reportSets(
  seen: readonly SeenSet[],
  fates: ReadonlyMap<string, Pick<ReportSet, 'fate' | 'reasons'>> | undefined,
): ReportSet[] {
  const newest = new Map(seen.map(({ scope, report: { bytes } }) => [scope, bytes]))
  newest.delete(undefined)
  const [largest] = [...newest].sort(([, a], [, b]) => b - a)
  return seen.map(({ report: set, scope }) => ({
    ...set,
    comparable: largest !== undefined && scope === largest[0],
    ...fates?.get(set.set),
  }))
}

function countSets(sets: readonly ReportSet[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { databases } of sets) {
    for (const name of databases) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

function lastChecks(sets: readonly ReportSet[]): LastChecks {
  let [verified, drilled]: [LastChecks['verified'], LastChecks['drilled']] = [undefined, undefined]
  for (const { set, ...checks } of sets) {
    if (isWhole(checks.verified)) verified = later(verified, { set, ...timeOf(checks.verified) })
    if (isWhole(checks.drilled)) {
      const { recoveryMs } = checks.drilled
      drilled = later(drilled, { set, ...timeOf(checks.drilled), recoveryMs })
    }
  }
  return { verified, drilled }
}

function isWhole<T extends { readonly ok: boolean; readonly complete: boolean }>(
  check: T | undefined,
): check is T {
  return check?.ok === true && check.complete
}

function timeOf({ time }: { readonly time: string }) {
  return { time: new Date(time) }
}

function later<T extends { readonly time: Date }>(a: T | undefined, b: T): T {
  return a === undefined || b.time > a.time ? b : a
}

/** Reads the newest metastore that can be read without a key. */
async function newestMetastore(
  listing: SetListing,
  signal: AbortSignal,
): Promise<Data | undefined> {
  for (const set of listing.sets) {
    if (set.sealed) continue
    try {
      const { manifest } = await readHead(listing, set, signal)
      return (await readMeta(listing.source, manifest, signal)).meta
    } catch (error) {
      if (!(error instanceof SnapError)) throw error
    }
  }
  return undefined
}

/** Asks prune what it would do, if there are rules to ask about. */
async function askPrune({ store, now, retention, signal }: ReportOptions) {
  if (retention === undefined) return undefined
  try {
    const rules = { ...retention, databases: [], includeStock: false, now }
    const { sets, freed } = await prune({ store, signal, confirm: false, ...rules })
    const removed = sets.filter(({ action }) => action === 'remove').map(({ set }) => set)
    return {
      retention: { kept: sets.length - removed.length, removed, freed: freed.bytes },
      fates: new Map(sets.map(({ set, action: fate, reasons }) => [set, { fate, reasons }])),
    }
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'E_PRUNE_REFUSED') throw error
    return { retention: { kept: 0, removed: [], freed: 0, refused: error.message } }
  }
}
