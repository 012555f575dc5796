import { EXIT_CODES, SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import type { Catalog } from './catalog.ts'
import {
  isBeside,
  manifestName,
  nextFreeSetName,
  openedName,
  parseFileName,
  parseSetName,
} from './names.ts'
import { readProvenCatalog } from './set-files.ts'
import type { ListedSet, SetListing } from './sets.ts'
import { readSet } from './sets.ts'
import type { FileListing, ListedFile } from './source.ts'

/** What a target must agree with before a set is written into it. */
export interface TargetRules {
  /** ClusterID of the server that is backed up. */
  readonly clusterId: bigint
  readonly kind: Catalog['kind']
}

const KINDS: Readonly<Record<Catalog['kind'], string>> = {
  full: 'whole shards',
  range: 'a time range',
}

/** What a set says of where it is from and what it is. */
interface KnownSet {
  readonly name: string
  readonly clusterId: bigint
  /** Sets of influxd have none. */
  readonly catalog: Catalog | undefined
}

function checkServer(url: string, { name, clusterId, catalog }: KnownSet, expected: bigint): void {
  if (clusterId === expected) return
  const host = catalog?.server.host
  throw new SnapError(
    'E_TARGET_FOREIGN',
    `${url}: set ${name} is of the server with cluster id ${clusterId}${host === undefined ? '' : ` (${host})`}, this one has ${expected}`,
    { hint: 'use one target for each server: influxd restores all sets of a directory as one' },
  )
}

function checkKind(url: string, { name, catalog }: KnownSet, kind: Catalog['kind']): void {
  // What a stock set holds is written nowhere; whole shards are what most of them hold.
  if (catalog === undefined ? kind === 'full' : catalog.kind === kind) return
  const held = catalog === undefined ? 'may hold whole shards' : `holds ${KINDS[catalog.kind]}`
  throw new SnapError(
    'E_TARGET_FOREIGN',
    `${url}: set ${name} ${held}, this one would hold ${KINDS[kind]}`,
    { hint: 'use another target for sets that are limited in time' },
  )
}

async function readKnown(
  listing: SetListing,
  listed: ListedSet,
  signal: AbortSignal | undefined,
): Promise<KnownSet> {
  const { name } = listed
  if (listed.kind === 'snap') {
    const catalog = await readProvenCatalog(listing, listed, signal)
    return { name, clusterId: catalog.server.clusterId, catalog }
  }
  const { catalog, meta } = await readSet(listing, listed, signal)
  return { name, clusterId: catalog?.server.clusterId ?? meta.clusterId, catalog }
}

/**
 * Checks that a set may be written beside those that are there: same server, same kind. The newest readable set of
 * snap and the newest of influxd speak for all; a damaged one among readable ones does not stop a backup.
 * @returns the catalog of that set of snap, for whoever needs it next
 * @throws SnapError `E_TARGET_FOREIGN`; `E_INTEGRITY` if there are sets and none can be read
 */
export async function checkTarget(
  listing: SetListing,
  { clusterId, kind }: TargetRules,
  signal?: AbortSignal,
): Promise<Catalog | undefined> {
  const { url } = listing.source
  const seen = new Map<ListedSet['kind'], KnownSet>()
  let damage: SnapError | undefined
  for (const listed of listing.sets) {
    if (seen.has(listed.kind)) continue
    try {
      const set = await readKnown(listing, listed, signal)
      checkServer(url, set, clusterId)
      checkKind(url, set, kind)
      seen.set(listed.kind, set)
    } catch (error) {
      if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
      damage ??= error
    }
  }
  if (seen.size === 0 && damage !== undefined) throw damage
  return seen.get('snap')?.catalog
}

/**
 * Takes the name for a set begun at `time`, or at the next second that is free, before its first byte.
 * @param reserve takes a name for this run alone, as a store does
 */
export async function takeSetName(
  reserve: (setName: string) => Promise<boolean>,
  time: Date,
  fileNames: Iterable<string>,
): Promise<string> {
  const known = [...fileNames]
  for (;;) {
    const name = nextFreeSetName(time, known)
    if (await reserve(name)) return name
    known.push(name)
  }
}

/** Says it if a set here is of a later time than the new set `name`: that one stays the newest, here and for influxd. */
export function warnOfLater({ sets }: SetListing, name: string): string | undefined {
  const later = sets.find((set) => set.name > name && parseSetName(set.name) !== undefined)
  if (later === undefined) return undefined
  return `set ${later.name} is of a later time than now, and stays the newest: take this one by its name, ${name}; is the clock right?`
}

/** A set that was begun and has unfinished files. */
export interface UnfinishedSet {
  readonly set: string
  /** It is a backup all the same: only what it was made from could not be removed. */
  readonly isPublished: boolean
  /** The file that reserves its name, if it is still there. */
  readonly reservation: string | undefined
  /** When a file of it was written last. */
  readonly written: Date
  /**
   * What is left of it if its run is dead, in the order to delete it: its `.pending` files, what had a final name already
   * if the manifest never got one, and the reservation, so that a clean-up that is cut short can be done again.
   */
  readonly leftovers: readonly string[]
}

/** Lists the sets of a target that have unfinished files. Files that are of no set are never named. */
export function listUnfinished(files: FileListing): UnfinishedSet[] {
  const members = new Map<string, ListedFile[]>()
  for (const name of files.keys()) {
    const set = name.endsWith(PENDING_SUFFIX) ? setOf(name) : undefined
    if (set !== undefined) members.set(set, [])
  }
  // Most targets have none, and names are many.
  if (members.size === 0) return []
  for (const file of files.values()) members.get(setOf(file.name) ?? '')?.push(file)
  return [...members]
    .map(([set, group]) => unfinishedSet(set, group))
    .filter(({ leftovers }) => leftovers.length > 0)
}

/** The set that a file is named as one of, also an unfinished one. */
export function setOf(fileName: string): string | undefined {
  if (!fileName.endsWith(PENDING_SUFFIX)) {
    const parsed = parseFileName(fileName)
    return parsed === undefined || isBeside(parsed) ? undefined : parsed.set
  }
  const name = fileName.slice(0, -PENDING_SUFFIX.length)
  return parseSetName(name) === undefined ? parseFileName(name)?.set : name
}

function unfinishedSet(set: string, files: readonly ListedFile[]): UnfinishedSet {
  const names = files.map(({ name }) => name)
  const reservation = names.find((name) => name === set + PENDING_SUFFIX)
  const isPublished = names.some((name) => openedName(name) === manifestName(set))
  const isLeft = (name: string) =>
    name !== reservation &&
    (name.endsWith(PENDING_SUFFIX) || (reservation !== undefined && !isPublished))
  const written = new Date(Math.max(...files.map(({ modifiedAt }) => modifiedAt)))
  const last = reservation === undefined ? [] : [reservation]
  return { set, isPublished, reservation, written, leftovers: [...names.filter(isLeft), ...last] }
}
