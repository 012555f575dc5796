import { EXIT_CODES, SnapError } from '../errors.ts'
import type { Catalog } from './catalog.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { ManifestEntry } from './manifest.ts'
import { parseSetName } from './names.ts'
import { readHead, type SetHead } from './set-files.ts'

/** An archive, and until when it holds all that its shard did, in nanoseconds since the epoch. */
export interface Holding {
  readonly entry: ManifestEntry
  readonly until: bigint
  /** The set that says so: the archive's, or a later one in which the shard had not changed. */
  readonly saidBy: string
}

/** What a set made with `--since` takes from older sets. */
export interface Inheritance {
  readonly entries: readonly ManifestEntry[]
  /** Shards that had not changed, and that no older set holds as they were. */
  readonly unheld: readonly bigint[]
}

/** An inheritance, and where it is from. */
export interface FollowedInheritance extends Inheritance {
  /** The older sets without which it would not be known. They may need others themselves. */
  readonly needs: readonly string[]
}

/** What the sets of a place hold together. */
export interface Holdings {
  /** The newest of each shard. */
  readonly newest: ReadonlyMap<bigint, Holding>
  /** By the names of the sets made with `--since`. */
  readonly inherited: ReadonlyMap<string, FollowedInheritance>
}

const known = new WeakMap<SetListing, Promise<Holdings>>()

/**
 * Follows every shard from set to set. That a shard had not changed since some time says what it held only together with
 * an older set that held it at that time or later. Sets that cannot be read hold nothing.
 */
export function readHoldings(listing: SetListing, signal?: AbortSignal): Promise<Holdings> {
  const holdings = known.get(listing) ?? follow(listing, signal)
  known.set(listing, holdings)
  return holdings
}

async function follow(listing: SetListing, signal: AbortSignal | undefined): Promise<Holdings> {
  const newest = new Map<bigint, Holding>()
  const inherited = new Map<string, FollowedInheritance>()
  for (const set of listing.sets.toReversed()) {
    const head = await readOrPass(listing, set, signal)
    const from = head && followSet(newest, head, listing)
    if (from !== undefined) inherited.set(set.name, from)
  }
  return { newest, inherited }
}

/**
 * Follows the shards to the next set; sets come oldest first.
 * @param newest what the sets before it hold; brought up to the set
 * @returns what the set takes from them, if it was made with `--since`
 */
export function followSet(
  newest: Map<bigint, Holding>,
  { set, manifest, catalog }: SetHead,
  { files }: Pick<SetListing, 'files'>,
): FollowedInheritance | undefined {
  const said = { until: begunAt(set, catalog), saidBy: set.name }
  const inheritance = catalog?.unchanged && inherit(newest, catalog.unchanged, said)
  for (const entry of manifest.files) {
    if (files.has(entry.fileName)) newest.set(entry.shardId, { entry, ...said })
  }
  return inheritance
}

/** Takes what older sets hold of unchanged shards, and lets it count as held until the set was begun. */
function inherit(
  newest: Map<bigint, Holding>,
  unchanged: NonNullable<Catalog['unchanged']>,
  said: Omit<Holding, 'entry'>,
): FollowedInheritance {
  const entries: ManifestEntry[] = []
  const unheld: bigint[] = []
  const needs = new Set<string>()
  for (const { shardId, since } of unchanged) {
    const holding = newest.get(shardId)
    if (holding === undefined || holding.until < since) {
      unheld.push(shardId)
      continue
    }
    entries.push(holding.entry)
    needs.add(holding.saidBy)
    newest.set(shardId, { entry: holding.entry, ...said })
  }
  return { entries, unheld, needs: [...needs] }
}

async function readOrPass(
  listing: SetListing,
  set: ListedSet,
  signal: AbortSignal | undefined,
): Promise<SetHead | undefined> {
  try {
    return await readHead(listing, set, signal)
  } catch (error) {
    const isDamage = error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY
    const isClosed = error instanceof SnapError && error.code === 'E_KEY'
    if (!isDamage && !isClosed) throw error
    return undefined
  }
}

/** When a set was begun: nothing that changed before can be missing in it. */
function begunAt({ name }: ListedSet, catalog: Catalog | undefined): bigint {
  const begun = catalog === undefined ? parseSetName(name) : new Date(catalog.created)
  return BigInt(begun?.getTime() ?? 0) * 1_000_000n
}
