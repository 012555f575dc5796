import { EXIT_CODES, SnapError } from '../errors.ts'
import type { Catalog } from '../portable/catalog.ts'
import { readHoldings } from '../portable/holdings.ts'
import { listSets, type SetListing } from '../portable/sets.ts'
import { checkTarget, warnOfLater } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import { atDestination } from './at-destination.ts'
import { announce } from './expected-sizes.ts'
import { type FetchShardsOptions, fetchShards, type Notes } from './fetch-shards.ts'
import { type FetchedShards, NO_POINTS, shardFacts } from './fetched-shards.ts'
import { findReuse } from './find-reuse.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { removeLeftovers } from './leftovers.ts'
import type { Incremental, ReusePlan } from './plan-reuse.ts'
import { planShards, type ShardPlan, shardName, wantedShard } from './plan-shards.ts'
import { noProgress } from './progress.ts'
import { type Selection, withNames } from './selection.ts'
import { keepSeries, type SeriesSelection } from './series-selection.ts'
import { readServerClock } from './server-clock.ts'
import type { CatalogFacts } from './set-parts.ts'
import { type SetScope, scopeOf } from './set-scope.ts'
import { SetWriter, type SetWriterOptions } from './set-writer.ts'

/** What to back up, and how. */
export interface BackupOptions
  extends SetWriterOptions,
    Omit<FetchShardsOptions, 'keepKey' | 'clock' | 'reuse' | 'notes' | 'sizes'> {
  readonly store: Store
  readonly selection: Selection
  /** Only the points of these series. */
  readonly series?: SeriesSelection | undefined
  /** Store only what has changed, and share the other archives with older sets. */
  readonly incremental?: Incremental | undefined
  /** Go on with what runs that died had finished, and leave what is finished if this one fails. */
  readonly resume?: boolean | undefined
  /** Only say what would be done. */
  readonly dryRun: boolean
  /** What is done, for progress. Default `backup`. */
  readonly task?: string | undefined
  /** The version that is written into the catalog. */
  readonly version: string
}

/** Whether a set is known to hold everything that was acknowledged before the run, and if not, why. */
type Completeness = Pick<Catalog, 'completeness' | 'completenessReason'>

/** Why a shard of the metastore is not in a set although it was selected. */
const NOT_THERE = 'the source has no such shard'

/** Why a shard of the metastore is missed. */
const VANISHED = 'an older set has it, and the source no longer does: did it fail to open?'

/** What a backup did. */
export interface BackupResult extends FetchedShards, Completeness {
  /** The name of the set; undefined after a dry run. */
  readonly set: string | undefined
  /** The newest set that it shares archives with. */
  readonly parent?: string | undefined
  /** Why it shares none although it was to be incremental. */
  readonly fullBecause?: string | undefined
  /** Shards of the metastore that the server does not have: nothing was written to them yet, or they did not open. */
  readonly absent: readonly ShardName[]
  /** Acknowledged points that the source itself has lost, one line each. */
  readonly lost: readonly string[]
  /** Unfinished objects that the store refused to delete: its key may only add. */
  readonly undeleted: number
}

/**
 * Backs up the selected shards as one new set, or only the chosen points of them. The set is published when all of it
 * is whole, or nothing is left.
 * @throws SnapError `E_NOTHING_MATCHED`, `E_TARGET_FOREIGN`, `E_SOURCE`, `E_SOURCE_DAMAGED`, `E_DESTINATION` and what the source throws
 */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  const { source, store, signal, series = {}, task = 'backup' } = options
  const progress = options.progress ?? noProgress
  const listing = await atDestination(() => listSets(store, signal))
  const plan = await planShards(options)
  const shards = plan.shards.map(shardName)
  const keepKey = keepSeries(series)
  const selection = withNames(plan.data, options.selection)
  const scope = scopeOf({ ...options, selection }, plan.scope)
  const known = await checkTarget(
    listing,
    { clusterId: plan.data.clusterId, kind: scope.kind },
    signal,
  )
  const clock = scope.kind === 'full' ? await clockOf(options) : undefined
  const reuse = await findReuse({ ...options, listing, clock, known }, plan)
  const { clusterId } = plan.data
  const sizes = await announce(shards, {
    ...{ ...options, progress, task, listing, clusterId, isPart: scope.kind === 'range' },
    unchanged: reuse?.unchanged,
  })
  if (options.dryRun) return dryRunResult(shards, plan, reuse)
  await removeLeftovers(store, listing, finishedSets(reuse))
  const heldUntil = options.since === undefined ? undefined : await holdingTimes(listing, signal)
  const vanished = await vanishedShards(options, plan, listing)
  const set = await SetWriter.begin(store, listing, options)
  const warning = warnOfLater(listing, set.name)
  if (warning) progress({ type: 'note', level: 'warning', message: warning })
  try {
    const notes = scope.kind === 'full' ? notesOn(plan) : undefined
    const fetch = { ...options, keepKey, heldUntil, clock, reuse, notes, sizes }
    const fetched = await fetchShards(set, shards, fetch)
    if (fetched.shards.length === 0) throw nothingStored(fetched)
    await set.commit(plan.metaBytes, catalogFacts(options, plan, { scope, fetched, vanished }))
    await removeResumed(options, listing, reuse)
    const gone = vanished.map((shard) => `shard ${describeShard(shard)}: ${VANISHED}`)
    return {
      ...fetched,
      ...completenessOf(fetched, vanished),
      set: set.name,
      ...{ parent: set.parent, fullBecause: reuse?.fullBecause },
      absent: plan.missing,
      undeleted: store.undeleted,
      lost: [...source.losses(), ...gone, ...flawsOf(fetched)],
    }
  } catch (error) {
    const left = options.resume ? await set.leave() : await set.discard()
    if (left) progress({ type: 'note', level: 'warning', message: keptText(left) })
    throw error
  }
}

/** Removes what the set was made from. Whatever stays is removed by a later run: the set is whole. */
async function removeResumed(
  { store }: BackupOptions,
  listing: SetListing,
  reuse: ReusePlan | undefined,
): Promise<void> {
  if (finishedSets(reuse).size > 0) await removeLeftovers(store, listing).catch(() => {})
}

function keptText(shards: number): string {
  return `${shards} finished ${shards === 1 ? 'shard is' : 'shards are'} kept for the next run with --resume`
}

function notesOn({ data: { clusterId }, shards }: ShardPlan): Notes {
  return { clusterId, shards: new Map(shards.map((shard) => [shard.shard.id, wantedShard(shard)])) }
}

/** The unfinished sets that archives are to be taken from. */
function finishedSets(reuse: ReusePlan | undefined): ReadonlySet<string> {
  const shards = [...(reuse?.candidates.values() ?? [])].filter(({ isPending }) => isPending)
  return new Set(shards.map(({ set }) => set))
}

/** The clock of an influxd, which shows it only to who may ask it. */
async function clockOf({ http, signal }: BackupOptions): Promise<bigint | undefined> {
  try {
    return http && (await readServerClock(http, signal))
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_SOURCE) throw error
    return undefined
  }
}

async function holdingTimes(
  listing: SetListing,
  signal: AbortSignal,
): Promise<ReadonlyMap<bigint, bigint>> {
  const { newest } = await readHoldings(listing, signal)
  return new Map([...newest].map(([shardId, { until }]) => [shardId, until]))
}

/**
 * Finds shards that the source does not have although an older set took them and the metastore still knows them. A shard
 * that was never written to is no loss; one that was there and is not has failed to open.
 */
async function vanishedShards(
  { source, signal }: BackupOptions,
  { missing }: ShardPlan,
  listing: SetListing,
): Promise<readonly ShardName[]> {
  if (missing.length === 0) return []
  const { newest } = await readHoldings(listing, signal)
  const vanished: ShardName[] = []
  for (const shard of missing) {
    if (newest.get(shard.shardId)?.entry.database !== shard.database) continue
    if (!(await source.wasDropped(shard, signal))) vanished.push(shard)
  }
  return vanished
}

interface Outcome {
  readonly scope: SetScope
  readonly fetched: FetchedShards
  readonly vanished: readonly ShardName[]
}

function catalogFacts(
  { version, since }: BackupOptions,
  { data, host, notThere, shards }: ShardPlan,
  { scope, fetched, vanished }: Outcome,
): CatalogFacts {
  const { dropped, empty, skipped, unchanged } = fetched
  const none = empty.map((shard) => ({ ...shard, reason: NO_POINTS }))
  const lost = new Set(vanished.map(({ shardId }) => shardId))
  const absent = notThere
    .filter(({ shardId }) => !lost.has(shardId))
    .map((shard) => ({ ...shard, reason: NOT_THERE }))
  const gone = vanished.map((shard) => ({ ...shard, reason: VANISHED }))
  return {
    tool: { name: 'snap', version },
    ...scope,
    server: { clusterId: data.clusterId, host },
    ...completenessOf(fetched, vanished),
    skipped: [
      ...[...dropped, ...none, ...absent].map((shard) => ({ ...shard, lost: false })),
      ...[...skipped, ...gone].map((shard) => ({ ...shard, lost: true })),
    ],
    shards: shardFacts(shards.map(wantedShard), fetched.shards),
    ...(since !== undefined && {
      unchanged: unchanged.map(({ shardId, since }) => ({ shardId, since })),
    }),
  }
}

function flawsOf({ shards }: FetchedShards): string[] {
  return shards.flatMap((shard) =>
    (shard.flaws ?? []).map((flaw) => `shard ${describeShard(shard)}: ${flaw}`),
  )
}

function completenessOf(
  { shards, skipped }: FetchedShards,
  vanished: readonly ShardName[],
): Completeness {
  if (skipped.length > 0) {
    return { completeness: 'unconfirmed', completenessReason: 'shards were skipped' }
  }
  if (vanished.length > 0) {
    return { completeness: 'unconfirmed', completenessReason: 'shards of older sets are missing' }
  }
  if (shards.every(({ complete }) => complete)) return { completeness: 'confirmed' }
  const completenessReason = 'the server does not say whether a shard is complete'
  return { completeness: 'unconfirmed', completenessReason }
}

function dryRunResult(
  shards: readonly ShardName[],
  { missing }: ShardPlan,
  reuse: ReusePlan | undefined,
): BackupResult {
  const lists = { dropped: [], skipped: [], unchanged: [], empty: [], lost: [] }
  const none = { ...lists, fetchedBytes: 0, undeleted: 0 }
  const { fullBecause } = reuse ?? {}
  const planned = shards.map((shard) => {
    const reused = reuse?.unchanged.get(shard.shardId)?.shard.archive
    return { ...shard, bytes: 0, stored: 0, complete: false, ...(reused && { reused }) }
  })
  const completeness = { completeness: 'unconfirmed', completenessReason: 'dry run' } as const
  const result = { set: undefined, shards: planned, absent: missing, fullBecause }
  return { ...result, ...none, ...completeness }
}

function nothingStored({ skipped, unchanged, empty }: FetchedShards): SnapError {
  const [first, ...others] = skipped
  if (first !== undefined) {
    const more = others.length > 0 ? ` (and ${others.length} more)` : ''
    const what = `shard ${describeShard(first)}${more} could not be fetched`
    return new SnapError('E_SOURCE', `no set was written: ${what}: ${first.reason}`)
  }
  const why =
    empty.length > 0
      ? 'no selected shard has points of this selection'
      : unchanged.length > 0
        ? 'no selected shard has changed since then'
        : 'every selected shard was dropped meanwhile'
  const unheld = unchanged.filter(({ held }) => !held).length
  const hint =
    unheld > 0
      ? `no set here holds ${unheld} of them: back up once without --since`
      : unchanged.length > 0
        ? 'the older sets hold all of it'
        : undefined
  return new SnapError('E_NOTHING_MATCHED', `no set was written: ${why}`, { hint })
}
