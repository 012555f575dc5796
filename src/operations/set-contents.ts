import type { ListedShard } from '../meta/index.ts'
import { listShards } from '../meta/index.ts'
import type { Catalog, CatalogData } from '../portable/catalog.ts'
import type { ListedSet, SetListing } from '../portable/listing.ts'
import type { ManifestEntry } from '../portable/manifest.ts'
import { catalogName, parseFileName } from '../portable/names.ts'
import { readHead, readMeta, readOwnCatalog } from '../portable/set-files.ts'
import type { ShardName } from './inspect.ts'
import { shardOf } from './restorable.ts'

/** A shard of a set, by the small files of the set alone. */
export interface ContainedShard extends ShardName {
  /** The times of its group, nanoseconds since the epoch: `start` is one of them, `end` is not. */
  readonly times: { readonly start: bigint; readonly end: bigint } | undefined
  readonly archive: string
  /** Bytes of its tar before compression. */
  readonly bytes: number
  /** Its points in numbers, if the catalog has them. */
  readonly data?: CatalogData | undefined
}

/** A file of a set. */
export interface ContainedFile {
  readonly name: string
  /** Bytes, as they should be. */
  readonly size: number
  /** An older set made it. */
  readonly isShared: boolean
}

/** What a set holds. */
export interface SetContents {
  readonly catalog: Catalog | undefined
  readonly shards: readonly ContainedShard[]
  readonly files: readonly ContainedFile[]
  /** Files that are not there, or not as long as they should be. */
  readonly missing: readonly string[]
  /** Of a set of influxd of which an older one has archives of the same shards. */
  readonly chain?: StockChain | undefined
}

/** What sets of influxd up to one of them have of the shards of that one: whether all of it counts their archives alone can tell. */
export interface StockChain {
  /** Those that have an archive of one shard, the most of any shard. */
  readonly sets: number
  /** The oldest of them all. */
  readonly oldest: string
}

/** Archives of influxd's sets by shard, of all sets that were read before. */
export type StockArchives = Map<bigint, StockChain & { readonly newest: ManifestEntry }>

/**
 * Reads what a set holds: of ours the catalog, and where that is of an early version the manifest; of influxd's manifest and
 * metastore. To be called from the oldest set on.
 * @throws SnapError `E_INTEGRITY`
 */
export async function readContents(
  listing: SetListing,
  set: ListedSet,
  { stock, signal }: { readonly stock: StockArchives; readonly signal: AbortSignal },
): Promise<SetContents> {
  if (set.kind === 'stock') return await readStock(listing, set, { stock, signal })
  const catalog = await readOwnCatalog(
    listing.source,
    { set: set.name, name: catalogName(set.name) },
    signal,
  )
  const shards =
    catalog.shards?.map(({ start, end, tarSize, ...shard }) => ({
      ...shard,
      times: { start, end },
      bytes: tarSize,
    })) ?? (await readHead(listing, set, signal)).manifest.files.map(containedShard)
  return contentsOf(listing, set.name, { catalog, shards, files: catalog.files })
}

/** Lets count what influxd would restore up to a set: older archives of shards that its metastore still has too. */
async function readStock(
  listing: SetListing,
  set: ListedSet,
  { stock, signal }: { readonly stock: StockArchives; readonly signal: AbortSignal },
): Promise<SetContents> {
  const { manifest } = await readHead(listing, set, signal)
  const { meta } = await readMeta(listing.source, manifest, signal)
  const live = new Map(
    listShards(meta, { includeDeleted: true }).map((listed) => [listed.shard.id, listed]),
  )
  for (const entry of manifest.files) {
    const older = stock.get(entry.shardId)
    const isThere = listing.files.has(entry.fileName)
    if (older !== undefined && !isThere) continue
    const { sets, oldest } = older ?? { sets: 0, oldest: set.name }
    stock.set(entry.shardId, { sets: sets + 1, oldest, newest: entry })
  }
  const own = new Set(manifest.files.map(({ shardId }) => shardId))
  const held = [...stock].filter(([id]) => own.has(id) || live.get(id)?.deleted === false)
  const archives = held.map(([, archive]) => archive)
  const entries = archives.map(({ newest }) => newest)
  const shards = entries.map((entry) => ({
    ...containedShard(entry),
    times: timesOf(live.get(entry.shardId)),
  }))
  const names = [manifest.meta.fileName, ...entries.map(({ fileName }) => fileName)]
  const files = names.map((name) => ({ name, size: listing.files.get(name)?.size ?? 0 }))
  const contents = contentsOf(listing, set.name, { catalog: undefined, shards, files })
  return { ...contents, chain: chainOf(set.name, archives) }
}

function chainOf(set: string, archives: readonly StockChain[]): StockChain | undefined {
  const sets = archives.reduce((most, archive) => Math.max(most, archive.sets), 0)
  const oldest = archives.reduce(
    (first, archive) => (archive.oldest < first ? archive.oldest : first),
    set,
  )
  return oldest === set ? undefined : { sets, oldest }
}

function contentsOf(
  listing: SetListing,
  set: string,
  contents: Pick<SetContents, 'catalog' | 'shards'> & {
    readonly files: readonly Omit<ContainedFile, 'isShared'>[]
  },
): SetContents {
  const files = contents.files.map(({ name, size }) => {
    const of = parseFileName(name)?.set
    return { name, size, isShared: of !== undefined && of !== set }
  })
  const missing = files
    .filter(({ name, size }) => listing.files.get(name)?.size !== size)
    .map(({ name }) => name)
  return { ...contents, files, missing }
}

function containedShard(entry: ManifestEntry): ContainedShard {
  const { fileName: archive, size: bytes } = entry
  return { ...shardOf(entry), times: undefined, archive, bytes }
}

function timesOf(listed: ListedShard | undefined): ContainedShard['times'] {
  return listed && { start: listed.group.startTime, end: listed.group.endTime }
}
