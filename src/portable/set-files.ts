import { SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import { decodeData } from '../meta/index.ts'
import type { Catalog, CatalogFile } from './catalog.ts'
import { decodeCatalog } from './catalog.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { Manifest } from './manifest.ts'
import { decodeManifest } from './manifest.ts'
import { decodeMetaFile } from './meta-file.ts'
import { catalogName, manifestName, metaName, sealedName } from './names.ts'
import type { SetSource, SmallFile } from './source.ts'
import { decodeStored, readSmallFile } from './source.ts'

/** Reads the manifest of a set. @throws SnapError `E_INTEGRITY` */
export async function readManifest(
  source: SetSource,
  set: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly manifest: Manifest; readonly file: SmallFile }> {
  const name = manifestName(set)
  const file = await readSmallFile(source, name, signal)
  return { manifest: decodeStored(source, name, (what) => decodeManifest(file.bytes, what)), file }
}

/** Reads the metastore that a manifest names. @throws SnapError `E_INTEGRITY` */
export async function readMeta(
  source: SetSource,
  { meta: { fileName, size } }: Manifest,
  signal: AbortSignal | undefined,
): Promise<{ readonly meta: Data; readonly metaBytes: Uint8Array; readonly file: SmallFile }> {
  const file = await readSmallFile(source, fileName, signal)
  const { data } = decodeStored(source, fileName, (what) => decodeMetaFile(file.bytes, what))
  if (data.length !== size && file.bytes.length !== size) {
    const message = `${source.url}: ${fileName}: ${data.length} bytes of metastore, expected ${size}`
    throw new SnapError('E_INTEGRITY', message)
  }
  const meta = decodeStored(source, fileName, (what) => decodeData(data, what))
  return { meta, metaBytes: data, file }
}

const filesOfCatalogs = new WeakMap<Catalog, ReadonlyMap<string, CatalogFile>>()

/** The files that a catalog lists, by their names. */
export function filesByName(catalog: Catalog): ReadonlyMap<string, CatalogFile> {
  const known = filesOfCatalogs.get(catalog)
  if (known !== undefined) return known
  const files = new Map(catalog.files.map((file) => [file.name, file]))
  filesOfCatalogs.set(catalog, files)
  return files
}

/** Returns what a catalog says of a file. @throws SnapError `E_INTEGRITY` if it does not list it */
export function listedFile(source: SetSource, catalog: Catalog, name: string): CatalogFile {
  const listed = filesByName(catalog).get(name)
  if (listed !== undefined) return listed
  const message = `${source.url}: ${name} is not in the catalog of set ${catalog.set}`
  throw new SnapError('E_INTEGRITY', message)
}

/** Checks a file against a catalog that has to list it. @throws SnapError `E_INTEGRITY` */
export function checkListed(
  source: SetSource,
  catalog: Catalog,
  name: string,
  file: SmallFile,
): void {
  checkAgainst(source, listedFile(source, catalog, name), file)
}

/** Checks a file against what a catalog says of it. @throws SnapError `E_INTEGRITY` */
export function checkAgainst(source: SetSource, listed: CatalogFile, file: SmallFile): void {
  const where = `${source.url}: ${listed.name}`
  if (listed.size !== file.bytes.length || listed.sha256 !== file.sha256) {
    const got = `${file.bytes.length} bytes with sha256 ${file.sha256}`
    const expected = `${listed.size} bytes with ${listed.sha256}`
    throw new SnapError('E_INTEGRITY', `${where}: ${got}, expected ${expected}`)
  }
}

/** Reads the catalog of a set; undefined if the set is a stock one, or catalogs are not to be read. */
export async function readCatalog(
  listing: SetListing,
  { name: set, kind }: ListedSet,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<Catalog | undefined> {
  const isStock = manifest.catalog === undefined && kind === 'stock'
  if (listing.withoutCatalogs || isStock) return undefined
  return await readOpenCatalog(listing, { set, name: manifest.catalog ?? catalogName(set) }, signal)
}

/** Reads the catalog of a set of ours that is not encrypted. @throws SnapError `E_INTEGRITY` */
async function readOpenCatalog(
  { source, files }: SetListing,
  { set, name }: { readonly set: string; readonly name: string },
  signal: AbortSignal | undefined,
): Promise<Catalog> {
  if (!files.has(name)) {
    const message = `${source.url}: catalog ${name} of set ${set} is missing`
    throw new SnapError('E_INTEGRITY', message)
  }
  const catalog = await readOwnCatalog(source, { set, name }, signal)
  if (catalog.encryption === undefined) return catalog
  const message = `${source.url}: ${name} is the clear catalog of an encrypted set, which is in ${sealedName(name)}`
  throw new SnapError('E_INTEGRITY', message, {
    hint: `put what is in ${sealedName(name)} in place of ${name}`,
  })
}

/** Reads the catalog of a set of ours without its manifest, the clear one of an encrypted set. @throws SnapError `E_INTEGRITY` */
export async function readOwnCatalog(
  source: SetSource,
  { set, name }: { readonly set: string; readonly name: string },
  signal: AbortSignal | undefined,
): Promise<Catalog> {
  const { bytes } = await readSmallFile(source, name, signal)
  const catalog = decodeStored(source, name, (what) => decodeCatalog(bytes, what))
  if (catalog.set === set) return catalog
  const message = `${source.url}: ${name} is the catalog of set ${catalog.set}, expected ${set}`
  throw new SnapError('E_INTEGRITY', message)
}

/**
 * Reads the catalog of a set of ours, and holds manifest and metastore to it by size and hash: what is in them is not decoded.
 * Of an encrypted set the clear catalog alone is read.
 * @throws SnapError `E_INTEGRITY` if one of them is missing or is not what the catalog says
 */
export async function readProvenCatalog(
  listing: SetListing,
  set: ListedSet,
  signal?: AbortSignal,
): Promise<Catalog> {
  if (set.sealed) return await readClearCatalog(listing, set, signal)
  const name = catalogName(set.name)
  const catalog = await readOpenCatalog(listing, { set: set.name, name }, signal)
  for (const listed of [manifestName(set.name), metaName(set.name)]) {
    const file = await readSmallFile(listing.source, listed, signal)
    checkListed(listing.source, catalog, listed, file)
  }
  return catalog
}

/** A set without its metastore: which files it has. */
export interface SetHead {
  readonly set: ListedSet
  readonly manifest: Manifest
  /** Only of our own sets. */
  readonly catalog: Catalog | undefined
}

/**
 * Reads the manifest of a set and, if it is ours, the catalog, checked against each other. Of an encrypted set only the clear
 * catalog is read, without a key, and what it says of the manifest stands for it: files by the names they are stored under.
 * @throws SnapError `E_INTEGRITY` if one of them is missing, does not decode or is not what the other says
 */
export async function readHead(
  listing: SetListing,
  set: ListedSet,
  signal?: AbortSignal,
): Promise<SetHead> {
  if (set.sealed) {
    const catalog = await readClearCatalog(listing, set, signal)
    return { set, manifest: clearManifest(catalog), catalog }
  }
  const { manifest, file } = await readManifest(listing.source, set.name, signal)
  const catalog = await readCatalog(listing, set, manifest, signal)
  if (catalog) checkListed(listing.source, catalog, manifestName(set.name), file)
  return { set, manifest, catalog }
}

/**
 * Reads the clear catalog of an encrypted set.
 * @throws SnapError `E_INTEGRITY`
 */
export async function readClearCatalog(
  { source }: Pick<SetListing, 'source'>,
  { name: set }: Pick<ListedSet, 'name'>,
  signal?: AbortSignal,
): Promise<Catalog> {
  const name = catalogName(set)
  const catalog = await readOwnCatalog(source, { set, name }, signal)
  if (catalog.encryption !== undefined) return catalog
  const message = `${source.url}: ${name} says that its set is not encrypted, expected an encrypted one`
  throw new SnapError('E_INTEGRITY', message)
}

/** What a manifest would list of an encrypted set, by its clear catalog. */
export function clearManifest({ set, shards = [] }: Catalog): Manifest {
  return {
    meta: { fileName: sealedName(metaName(set)), size: 0, unknown: {} },
    limited: false,
    files: shards.map(({ database, retentionPolicy: policy, shardId, archive, tarSize }) => ({
      ...{ database, policy, shardId, fileName: archive, size: tarSize },
      ...{ lastModified: 0, unknown: {} },
    })),
    catalog: catalogName(set),
    unknown: {},
  }
}
