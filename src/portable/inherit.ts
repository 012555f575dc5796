import type { Data } from '../meta/index.ts'
import { listShards } from '../meta/index.ts'
import type { Catalog } from './catalog.ts'
import { inScope } from './holds.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { Manifest, ManifestEntry } from './manifest.ts'
import { readManifest } from './set-files.ts'
import type { FileListing } from './source.ts'

/** The entries of older sets that `accepts` takes, newest first, of shards that `meta` still has. */
async function olderEntries(
  { source, sets }: SetListing,
  accepts: (set: ListedSet) => boolean,
  meta: Data,
  signal: AbortSignal | undefined,
): Promise<ManifestEntry[]> {
  const live = new Set(listShards(meta).map(({ shard }) => shard.id))
  const entries: ManifestEntry[] = []
  for (const set of sets) {
    if (!accepts(set)) continue
    const { manifest } = await readManifest(source, set.name, signal)
    const isOurs = manifest.catalog !== undefined
    if (isOurs === (set.kind === 'snap')) entries.push(...manifest.files)
  }
  return entries.filter(({ shardId }) => live.has(shardId))
}

interface Inheriting {
  readonly listing: SetListing
  readonly set: ListedSet
  readonly manifest: Manifest
  readonly catalog: Catalog | undefined
  readonly meta: Data
}

/** Entries of older sets that belong to a set although its own manifest does not list their shards, or lists them too. */
export async function inheritedEntries(
  { listing, set, catalog, meta, manifest }: Inheriting,
  signal: AbortSignal | undefined,
): Promise<readonly ManifestEntry[]> {
  const isOlder = ({ name }: ListedSet) => name < set.name
  if (catalog === undefined) {
    const accepts = (other: ListedSet) => other.kind === 'stock' && isOlder(other)
    return await olderEntries(listing, accepts, meta, signal)
  }
  if (catalog.selection.since === undefined) return []
  const own = new Set(manifest.files.map(({ shardId }) => shardId))
  const entries = await olderEntries(listing, isOlder, meta, signal)
  return entries.filter(({ database, policy, shardId }) => {
    return !own.has(shardId) && inScope(catalog, { database, retentionPolicy: policy, shardId })
  })
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
