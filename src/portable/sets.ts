import { emptyData } from '../meta/index.ts'
import type { BackupSet } from './backup-set.ts'
import type { Catalog, CatalogFile } from './catalog.ts'
import { firstOfEachShard, inheritance } from './inherit.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { ManifestEntry } from './manifest.ts'
import { manifestName } from './names.ts'
import {
  checkAgainst,
  checkListed,
  clearManifest,
  listedFile,
  readCatalog,
  readClearCatalog,
  readManifest,
  readMeta,
} from './set-files.ts'
import type { Sidecar } from './sidecar.ts'
import { decodeSidecar } from './sidecar.ts'
import type { SetSource } from './source.ts'
import { decodeStored, readSmallFile } from './source.ts'

export type { BackupSet } from './backup-set.ts'
export type { ListedSet, SetListing } from './listing.ts'
export { listSets } from './listing.ts'

/**
 * Reads one set of a listing. A set of ours is checked against its catalog and stands for itself, but for one made
 * with `--since`: shards that had not changed come from the newest older set, if it held them as they still were. A stock set is
 * what influxd would restore up to it: its own metastore, and for each shard the newest stock manifest,
 * not newer than the set, whose archive is there.
 * @throws SnapError `E_INTEGRITY` if a file of the set is missing, does not decode or is not what the catalog says
 */
export async function readSet(
  listing: SetListing,
  set: ListedSet,
  signal?: AbortSignal,
): Promise<BackupSet> {
  const { source } = listing
  const { manifest, file } = await readManifest(source, set.name, signal)
  const { meta, metaBytes, file: metaFile } = await readMeta(source, manifest, signal)
  const catalog = await readCatalog(listing, set, manifest, signal)
  if (catalog !== undefined) {
    checkListed(source, catalog, manifestName(set.name), file)
    checkListed(source, catalog, manifest.meta.fileName, metaFile)
  }
  const older = await inheritance({ listing, set, catalog, meta }, signal)
  const chosen = firstOfEachShard([...manifest.files, ...older.entries], listing.files)
  const kind = catalog === undefined ? 'stock' : 'snap'
  const isOlder = (entry: ManifestEntry) =>
    kind === 'stock' && !chosen.entries.includes(entry) && listing.files.has(entry.fileName)
  return {
    ...{ ...set, kind, manifest, meta, metaBytes, catalog, ...chosen },
    ...{ older: older.entries.filter(isOlder), unheld: older.unheld },
  }
}

/** What can be said of an encrypted set without its key. Archives have the names they are stored under. */
export interface ClearSet extends ListedSet, Pick<BackupSet, 'entries' | 'missing' | 'unheld'> {
  readonly catalog: Catalog
}

/**
 * Reads the clear catalog of an encrypted set.
 * @throws SnapError `E_INTEGRITY` if it is missing, does not decode or is not of this set
 */
export async function readClearSet(
  listing: SetListing,
  set: ListedSet,
  signal?: AbortSignal,
): Promise<ClearSet> {
  const catalog = await readClearCatalog(listing, set, signal)
  const manifest = clearManifest(catalog)
  const older = await inheritance({ listing, set, catalog, meta: emptyData() }, signal)
  const chosen = firstOfEachShard([...manifest.files, ...older.entries], listing.files)
  return { ...set, catalog, ...chosen, unheld: older.unheld }
}

/**
 * Reads a sidecar of a set, checked against the set's catalog.
 * @throws SnapError `E_INTEGRITY` if it is missing, does not decode or is not what the catalog says
 */
export async function readSidecar(
  source: SetSource,
  catalog: Catalog,
  name: string,
  signal?: AbortSignal,
): Promise<Sidecar> {
  return await readListedSidecar(source, listedFile(source, catalog, name), signal)
}

/** As {@link readSidecar}, by what the catalog says of it. */
export async function readListedSidecar(
  source: SetSource,
  listed: CatalogFile,
  signal?: AbortSignal,
): Promise<Sidecar> {
  const { name } = listed
  const file = await readSmallFile(source, name, signal)
  checkAgainst(source, listed, file)
  return decodeStored(source, name, (what) => decodeSidecar(file.bytes, what))
}
