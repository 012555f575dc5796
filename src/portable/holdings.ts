import { EXIT_CODES, SnapError } from '../errors.ts'
import type { Catalog } from './catalog.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { Manifest, ManifestEntry } from './manifest.ts'
import { manifestName, parseSetName } from './names.ts'
import { checkListed, readCatalog, readManifest } from './set-files.ts'

/** An archive, and until when it holds all that its shard did, in nanoseconds since the epoch. */
export interface Holding {
  readonly entry: ManifestEntry
  readonly until: bigint
}

/** What a set made with `--since` takes from older sets. */
export interface Inheritance {
  readonly entries: readonly ManifestEntry[]
  /** Shards that had not changed, and that no older set holds as they were. */
  readonly unheld: readonly bigint[]
}

/** What the sets of a place hold together. */
export interface Holdings {
  /** The newest of each shard. */
  readonly newest: ReadonlyMap<bigint, Holding>
  /** By the names of the sets made with `--since`. */
  readonly inherited: ReadonlyMap<string, Inheritance>
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
  const inherited = new Map<string, Inheritance>()
  for (const set of listing.sets.toReversed()) {
    const read = await readOrPass(listing, set, signal)
    if (read === undefined) continue
    const until = begunAt(set, read.catalog)
    const unchanged = read.catalog?.unchanged
    if (unchanged !== undefined) inherited.set(set.name, inherit(newest, unchanged, until))
    for (const entry of read.manifest.files) {
      if (listing.files.has(entry.fileName)) newest.set(entry.shardId, { entry, until })
    }
  }
  return { newest, inherited }
}

/** Takes what older sets hold of unchanged shards, and lets it count as held until `until`. */
function inherit(
  newest: Map<bigint, Holding>,
  unchanged: NonNullable<Catalog['unchanged']>,
  until: bigint,
): Inheritance {
  const entries: ManifestEntry[] = []
  const unheld: bigint[] = []
  for (const { shardId, since } of unchanged) {
    const holding = newest.get(shardId)
    if (holding === undefined || holding.until < since) {
      unheld.push(shardId)
      continue
    }
    entries.push(holding.entry)
    newest.set(shardId, { entry: holding.entry, until })
  }
  return { entries, unheld }
}

interface Read {
  readonly manifest: Manifest
  readonly catalog: Catalog | undefined
}

async function readOrPass(
  listing: SetListing,
  set: ListedSet,
  signal: AbortSignal | undefined,
): Promise<Read | undefined> {
  try {
    const { manifest, file } = await readManifest(listing.source, set.name, signal)
    const catalog = await readCatalog(listing, set, manifest, signal)
    if (catalog) checkListed(listing.source, catalog, manifestName(set.name), file)
    return { manifest, catalog }
  } catch (error) {
    const isDamage = error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY
    if (!isDamage) throw error
    return undefined
  }
}

/** When a set was begun: nothing that changed before can be missing in it. */
function begunAt({ name }: ListedSet, catalog: Catalog | undefined): bigint {
  const begun = catalog === undefined ? parseSetName(name) : new Date(catalog.created)
  return BigInt(begun?.getTime() ?? 0) * 1_000_000n
}
