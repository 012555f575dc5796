import type { Data } from '../meta/index.ts'
import { listShards } from '../meta/index.ts'
import type { Catalog } from './catalog.ts'
import { type Inheritance, readHoldings } from './holdings.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { ManifestEntry } from './manifest.ts'
import { readManifest } from './set-files.ts'
import type { FileListing } from './source.ts'

/** The entries of older sets of influxd, newest first, of shards that `meta` still has. */
async function olderEntries(
  { source, sets }: SetListing,
  set: ListedSet,
  meta: Data,
  signal: AbortSignal | undefined,
): Promise<ManifestEntry[]> {
  const live = new Set(listShards(meta).map(({ shard }) => shard.id))
  const entries: ManifestEntry[] = []
  for (const { name, kind } of sets) {
    if (kind !== 'stock' || name >= set.name) continue
    const { manifest } = await readManifest(source, name, signal)
    if (manifest.catalog === undefined) entries.push(...manifest.files)
  }
  return entries.filter(({ shardId }) => live.has(shardId))
}

interface Inheriting {
  readonly listing: SetListing
  readonly set: ListedSet
  readonly catalog: Catalog | undefined
  readonly meta: Data
}

/** What belongs to a set out of older ones, although its own manifest does not list these shards, or lists them too. */
export async function inheritance(
  { listing, set, catalog, meta }: Inheriting,
  signal: AbortSignal | undefined,
): Promise<Inheritance> {
  if (catalog === undefined) {
    return { entries: await olderEntries(listing, set, meta, signal), unheld: [] }
  }
  if (catalog.unchanged === undefined) return { entries: [], unheld: [] }
  const { inherited } = await readHoldings(listing, signal)
  return inherited.get(set.name) ?? { entries: [], unheld: [] }
}

/** Splits entries by whether their archive is there. */
function splitByPresence(entries: Iterable<ManifestEntry>, files: FileListing) {
  const present: ManifestEntry[] = []
  const missing: ManifestEntry[] = []
  for (const entry of entries) (files.has(entry.fileName) ? present : missing).push(entry)
  return { entries: present, missing }
}

/** Keeps the first entry of each shard, one whose archive is there before one whose archive is not. */
export function firstOfEachShard(entries: readonly ManifestEntry[], files: FileListing) {
  const split = splitByPresence(entries, files)
  const chosen = new Map<bigint, ManifestEntry>()
  for (const entry of [...split.entries, ...split.missing]) {
    if (!chosen.has(entry.shardId)) chosen.set(entry.shardId, entry)
  }
  return splitByPresence(chosen.values(), files)
}
