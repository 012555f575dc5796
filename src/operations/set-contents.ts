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
}

/** Archives of influxd's sets by shard, of all sets that were read before. */
export type StockArchives = Map<bigint, ManifestEntry>

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
    if (listing.files.has(entry.fileName) || !stock.has(entry.shardId)) {
      stock.set(entry.shardId, entry)
    }
  }
  const own = new Set(manifest.files.map(({ shardId }) => shardId))
  const entries = [...stock.values()].filter(
    ({ shardId }) => own.has(shardId) || live.get(shardId)?.deleted === false,
  )
  const shards = entries.map((entry) => ({
    ...containedShard(entry),
    times: timesOf(live.get(entry.shardId)),
  }))
  const names = [manifest.meta.fileName, ...entries.map(({ fileName }) => fileName)]
  const files = names.map((name) => ({ name, size: listing.files.get(name)?.size ?? 0 }))
  return contentsOf(listing, set.name, { catalog: undefined, shards, files })
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
