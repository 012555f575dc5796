import { SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import { decodeData } from '../meta/index.ts'
import type { Catalog, CatalogFile } from './catalog.ts'
import { decodeCatalog } from './catalog.ts'
import type { ListedSet, SetListing } from './listing.ts'
import type { Manifest } from './manifest.ts'
import { decodeManifest } from './manifest.ts'
import { decodeMetaFile } from './meta-file.ts'
import { catalogName, manifestName } from './names.ts'
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

function filesByName(catalog: Catalog): ReadonlyMap<string, CatalogFile> {
  const known = filesOfCatalogs.get(catalog)
  if (known !== undefined) return known
  const files = new Map(catalog.files.map((file) => [file.name, file]))
  filesOfCatalogs.set(catalog, files)
  return files
}

/** Checks a file that the catalog lists against it. */
export function checkListed(
  source: SetSource,
  catalog: Catalog,
  name: string,
  file: SmallFile,
): void {
  const listed = filesByName(catalog).get(name)
  const where = `${source.url}: ${name}`
  if (listed === undefined) {
    throw new SnapError('E_INTEGRITY', `${where} is not in the catalog of set ${catalog.set}`)
  }
  if (listed.size !== file.bytes.length || listed.sha256 !== file.sha256) {
    const got = `${file.bytes.length} bytes with sha256 ${file.sha256}`
    const expected = `${listed.size} bytes with ${listed.sha256}`
    throw new SnapError('E_INTEGRITY', `${where}: ${got}, expected ${expected}`)
  }
}

/** Reads the catalog of a set; undefined if the set is a stock one, or catalogs are not to be read. */
export async function readCatalog(
  { source, files, withoutCatalogs }: SetListing,
  { name: set, kind }: ListedSet,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<Catalog | undefined> {
  if (withoutCatalogs || (manifest.catalog === undefined && kind === 'stock')) return undefined
  const name = manifest.catalog ?? catalogName(set)
  if (!files.has(name)) {
    const message = `${source.url}: catalog ${name} of set ${set} is missing`
    throw new SnapError('E_INTEGRITY', message)
  }
  const { bytes } = await readSmallFile(source, name, signal)
  const catalog = decodeStored(source, name, (what) => decodeCatalog(bytes, what))
  if (catalog.set === set) return catalog
  const message = `${source.url}: ${name} is the catalog of set ${catalog.set}, expected ${set}`
  throw new SnapError('E_INTEGRITY', message)
}

/** A set without its metastore: which files it has. */
export interface SetHead {
  readonly set: ListedSet
  readonly manifest: Manifest
  /** Only of our own sets. */
  readonly catalog: Catalog | undefined
}

/**
 * Reads the manifest of a set and, if it is ours, the catalog, checked against each other.
 * @throws SnapError `E_INTEGRITY` if one of them is missing, does not decode or is not what the other says
 */
export async function readHead(
  listing: SetListing,
  set: ListedSet,
  signal?: AbortSignal,
): Promise<SetHead> {
  const { manifest, file } = await readManifest(listing.source, set.name, signal)
  const catalog = await readCatalog(listing, set, manifest, signal)
  if (catalog) checkListed(listing.source, catalog, manifestName(set.name), file)
  return { set, manifest, catalog }
}
