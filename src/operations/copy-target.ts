import { createHash } from 'node:crypto'
import type { Recipients } from '../age/index.ts'
import { EXIT_CODES, SnapError } from '../errors.ts'
import type { Catalog, CatalogFile } from '../portable/catalog.ts'
import type { ListedSet, SetListing } from '../portable/listing.ts'
import { catalogName, manifestName, storedName } from '../portable/names.ts'
import { readHead, type SetHead } from '../portable/set-files.ts'
import { readSmallFile } from '../portable/source.ts'
import type { Store } from '../storage/index.ts'
import { checkStoredHash } from './check-archive.ts'
import type { ShardName } from './inspect.ts'

/** A file to be copied. */
export interface CopyFile {
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Lower-case hex; sets of influxd do not say. */
  readonly sha256: string | undefined
  /** The shard whose archive it is. */
  readonly shard: ShardName | undefined
}

/** What a catalog says of a file. */
export interface SaidFile {
  readonly file: CatalogFile
  readonly encryption: Catalog['encryption']
}

/** The target, as far as it was looked at. */
export interface TargetPlace {
  readonly store: Store
  readonly listing: SetListing
  /** Files that sets planned before bring. */
  readonly known: Set<string>
  /** Whom its sets are encrypted to on the way; without them they are copied as they are. */
  readonly recipients: Recipients | undefined
  /** What the catalogs read so far say of files. */
  readonly said: Map<string, SaidFile>
  /** Sets whose catalogs cannot be read. */
  readonly unreadable: Set<string>
  /** Sets whose catalogs were not read yet, newest first. */
  readonly unread: ListedSet[]
  readonly signal: AbortSignal
}

/** True for what is wrong with stored data. */
export function isDamage(error: unknown): error is SnapError {
  return error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY
}

/**
 * True if the target has the set already.
 * @throws SnapError `E_TARGET_EXISTS` if it has another one of that name
 */
export async function isThereAlready(
  listing: SetListing,
  { listing: { source: target, files, sets: there }, signal }: TargetPlace,
  { set, catalog }: SetHead,
): Promise<boolean> {
  const { name } = set
  const manifest = manifestOf({ set })
  if (!there.some((each) => each.name === name)) return false
  for (const file of catalog === undefined ? [manifest] : [manifest, catalogName(name)]) {
    const [ours, theirs] = await Promise.all([
      readSmallFile(listing.source, file, signal),
      files.has(file) ? readSmallFile(target, file, signal) : undefined,
    ])
    if (ours.sha256 === theirs?.sha256) continue
    throw new SnapError(
      'E_TARGET_EXISTS',
      `${target.url}: has another set ${name}: ${file} differs`,
      {
        hint: 'copy into a target that holds copies alone',
      },
    )
  }
  return true
}

/** The name that the manifest of a set is stored under. */
export function manifestOf({ set }: Pick<SetHead, 'set'>): string {
  return storedName(manifestName(set.name), set)
}

/**
 * True if the target has a file: a catalog there says so, or it is read.
 * @throws SnapError `E_TARGET_EXISTS` if it is another one
 */
export async function isReusable(
  { source }: SetListing,
  place: TargetPlace,
  { name, size, sha256 }: CopyFile,
): Promise<boolean> {
  const { store, listing, signal } = place
  const found = listing.files.get(name)
  if (found === undefined) return false
  const wanted = sha256 ?? (await hashOf(source, name, signal))
  const said = found.size === size ? await saidOf(place, name) : undefined
  if (said?.file.sha256 === wanted) return true
  try {
    await checkStoredHash(store, { name, stored: { size, sha256: wanted } }, { signal })
    return true
  } catch (error) {
    if (!isDamage(error)) throw error
    throw new SnapError(
      'E_TARGET_EXISTS',
      `${error.message}; it is another file than in ${source.url}`,
      {
        cause: error,
      },
    )
  }
}

/** What a catalog of the target says of a file; catalogs are read until one speaks of it. */
export async function saidOf(place: TargetPlace, name: string): Promise<SaidFile | undefined> {
  const { said, unread, unreadable, listing, signal } = place
  while (!said.has(name)) {
    const set = unread.shift()
    if (set === undefined) return undefined
    const head = await readHead(listing, set, signal).catch((error: unknown) => {
      if (!isDamage(error)) throw error
      unreadable.add(set.name)
    })
    const encryption = head?.catalog?.encryption
    for (const file of head?.catalog?.files ?? []) said.set(file.name, { file, encryption })
  }
  return said.get(name)
}

async function hashOf(
  source: SetListing['source'],
  name: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of source.read(name, undefined, signal)) hash.update(chunk)
  return hash.digest('hex')
}
