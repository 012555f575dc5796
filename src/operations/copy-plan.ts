import type { Recipients } from '../age/index.ts'
import { SnapError } from '../errors.ts'
import { type ListedSet, listSets, type SetListing } from '../portable/listing.ts'
import { catalogName, sealedName } from '../portable/names.ts'
import { candidates, noBackup } from '../portable/select-set.ts'
import { readHead, readMeta, type SetHead } from '../portable/set-files.ts'
import { readSmallFile } from '../portable/source.ts'
import { checkTarget } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import { isReusableSealed, isThereSealed } from './copy-sealed.ts'
import {
  type CopyFile,
  isDamage,
  isReusable,
  isThereAlready,
  manifestOf,
  type SaidFile,
  type TargetPlace,
} from './copy-target.ts'
import { shardOf } from './restorable.ts'
import { needsOf } from './set-needs.ts'

/** The word for the newest set. */
const LATEST = 'latest'

/** A set to be copied, and what of it. */
export interface SetPlan {
  readonly set: string
  /** The name that its manifest is stored under. */
  readonly manifest: string
  /** What the target does not have, in the order to copy it: archives and sidecars, metastore, catalog, manifest. */
  readonly files: readonly CopyFile[]
  /** Files that the target has already, and their bytes. */
  readonly reused: { readonly files: number; readonly bytes: number }
  /** The names of those there. */
  readonly shared: readonly string[]
}

/** What is to be copied. */
export interface CopyPlan {
  /** Oldest first. */
  readonly sets: readonly SetPlan[]
  /** Sets that the target has as they are. */
  readonly there: readonly string[]
  /** Sets that cannot be read, and why. */
  readonly damaged: readonly Damaged[]
  /** The target as it is before. */
  readonly target: SetListing
  /** What catalogs there say of files, as far as they were read. */
  readonly said: ReadonlyMap<string, SaidFile>
}

/** A set that cannot be read, or whose files are not what its catalog says. */
export interface Damaged {
  readonly set: string
  readonly message: string
}

/** What to copy, and where. */
export interface CopyPlanOptions {
  readonly source: Store
  readonly target: Store
  /** Sets by their names, or the newest at a time, or `latest`. Empty: all. */
  readonly sets: readonly (string | Date)[]
  /** Sets that are not copied, even if they are meant. */
  readonly except?: ReadonlySet<string> | undefined
  /** Whom the sets are encrypted to on the way. The source shows encrypted ones as they are without then. */
  readonly recipients?: Recipients | undefined
  readonly signal: AbortSignal
}

/**
 * Finds out what of the source the target lacks. Older sets that a named one cannot be restored without are taken too.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED` if there is no such set, `E_TARGET_FOREIGN`, `E_TARGET_EXISTS` if the
 * target has another set or file of that name, `E_INTEGRITY` if a named set, or one it needs, cannot be read, `E_KEY` if it
 * cannot be decrypted to be encrypted for others, `E_USAGE` if it is one of influxd and to be encrypted
 */
export async function planCopy(options: CopyPlanOptions): Promise<CopyPlan> {
  const { source, target, recipients, signal } = options
  const listing = await listSets(source, signal)
  if (listing.sets.length === 0) throw noBackup(listing)
  const wanted = await chooseSets(listing, options)
  const targetListing = await listSets(target, signal)
  const place: TargetPlace = {
    ...{ store: target, listing: targetListing, known: new Set(), recipients, signal },
    ...{ said: new Map(), unread: [...targetListing.sets], unreadable: new Set() },
  }
  const plan = { sets: [] as SetPlan[], there: [] as string[], damaged: [] as Damaged[] }
  const checked = new Set<string>()
  for (const set of wanted) {
    try {
      const head = await readHead(listing, set, signal)
      await checkOnce(checked, { listing, place, head })
      const isThere = recipients === undefined ? isThereAlready : isThereSealed
      if (await isThere(listing, place, head)) plan.there.push(set.name)
      else plan.sets.push(await planSet(listing, place, head))
    } catch (error) {
      if (options.sets.length > 0 || !isDamage(error)) throw error
      plan.damaged.push({ set: set.name, message: error.message })
    }
  }
  return { ...plan, target: targetListing, said: place.said }
}

/** Returns the sets to copy, oldest first: the named ones and those they need. */
async function chooseSets(
  listing: SetListing,
  { sets: wishes, except, signal }: CopyPlanOptions,
): Promise<readonly ListedSet[]> {
  const chosen = new Set(wishes.length === 0 ? listing.sets.map(({ name }) => name) : [])
  for (const wish of wishes) {
    const [found] = candidates(listing, { set: wish === LATEST ? undefined : wish })
    if (found !== undefined) chosen.add(found.name)
  }
  const needs = wishes.length === 0 ? new Map() : await needsOf(listing, signal)
  // Newest first: what a set needs is older, and comes later.
  for (const { name } of listing.sets) {
    if (chosen.has(name)) for (const needed of needs.get(name) ?? []) chosen.add(needed)
  }
  return listing.sets.filter(({ name }) => chosen.has(name) && !except?.has(name)).reverse()
}

/** Makes sure that a set may stand beside those of the target, and beside the others that are copied. */
async function checkOnce(
  checked: Set<string>,
  { listing, place, head }: { listing: SetListing; place: TargetPlace; head: SetHead },
): Promise<void> {
  const { catalog, manifest } = head
  const clusterId =
    catalog?.server.clusterId ??
    (await readMeta(listing.source, manifest, place.signal)).meta.clusterId
  const kind = catalog?.kind ?? 'full'
  const key = `${clusterId} ${kind}`
  if (checked.has(key)) return
  if (checked.size > 0) {
    const message = `${listing.source.url}: set ${head.set.name} is of another server or kind than others there`
    throw new SnapError('E_TARGET_FOREIGN', message, { hint: 'copy some of the sets, with --set' })
  }
  await checkTarget(place.listing, { clusterId, kind }, place.signal)
  checked.add(key)
}

async function planSet(listing: SetListing, place: TargetPlace, head: SetHead): Promise<SetPlan> {
  const files: CopyFile[] = []
  const reused = { files: 0, bytes: 0 }
  const shared: string[] = []
  for (const file of await filesOf(listing, head, place.signal)) {
    const isThere = place.recipients === undefined ? isReusable : isReusableSealed
    if (place.known.has(file.name) || (await isThere(listing, place, file))) {
      reused.files += 1
      reused.bytes += file.size
      shared.push(place.recipients === undefined ? file.name : sealedName(file.name))
    } else {
      files.push(file)
    }
  }
  for (const { name } of files) place.known.add(name)
  return { set: head.set.name, manifest: manifestOf(head), files, reused, shared }
}

/** Lists the files of a set in the order to copy them, the manifest last. */
async function filesOf(
  { source, files }: SetListing,
  head: SetHead,
  signal: AbortSignal,
): Promise<CopyFile[]> {
  const { manifest, catalog } = head
  const last = manifestOf(head)
  const shards = new Map(manifest.files.map((entry) => [entry.fileName, shardOf(entry)]))
  const stock = [...shards.keys(), manifest.meta.fileName, last].flatMap((file) => {
    const found = files.get(file)
    // What influxd does not find of a set it takes from an older one.
    return found === undefined ? [] : [{ name: file, size: found.size, sha256: undefined }]
  })
  const listed: readonly Omit<CopyFile, 'shard'>[] = catalog?.files ?? stock
  const own = await catalogFile(source, { name: head.set.name, catalog }, signal)
  return [
    ...listed.filter((file) => file.name !== last),
    ...own,
    ...listed.filter((file) => file.name === last),
  ].map((file) => ({ ...file, shard: shards.get(file.name) }))
}

async function catalogFile(
  source: SetListing['source'],
  { name, catalog }: { readonly name: string; readonly catalog: SetHead['catalog'] },
  signal: AbortSignal,
): Promise<Omit<CopyFile, 'shard'>[]> {
  if (catalog === undefined) return []
  const { bytes, sha256 } = await readSmallFile(source, catalogName(name), signal)
  return [{ name: catalogName(name), size: bytes.length, sha256 }]
}
