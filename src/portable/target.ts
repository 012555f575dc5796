import { SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/durable.ts'
import type { Catalog } from './catalog.ts'
import { manifestName, nextFreeSetName, parseFileName } from './names.ts'
import type { BackupSet, ListedSet, SetListing } from './sets.ts'
import { readSet } from './sets.ts'
import type { FileListing } from './source.ts'

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

function checkServer({ url }: { readonly url: string }, set: BackupSet, clusterId: bigint): void {
  const owner = set.catalog?.server.clusterId ?? set.meta.clusterId
  if (owner === clusterId) return
  const host = set.catalog?.server.host
  throw new SnapError(
    'E_TARGET_FOREIGN',
    `${url}: set ${set.name} is of the server with cluster id ${owner}${host === undefined ? '' : ` (${host})`}, this one has ${clusterId}`,
    { hint: 'use one target for each server: influxd restores all sets of a directory as one' },
  )
}

function checkKind({ url }: { readonly url: string }, set: BackupSet, kind: Catalog['kind']): void {
  const { catalog, name } = set
  // What a stock set holds is written nowhere; whole shards are what most of them hold.
  if (catalog === undefined ? kind === 'full' : catalog.kind === kind) return
  const held = catalog === undefined ? 'may hold whole shards' : `holds ${KINDS[catalog.kind]}`
  throw new SnapError(
    'E_TARGET_FOREIGN',
    `${url}: set ${name} ${held}, this one would hold ${KINDS[kind]}`,
    { hint: 'use another target for sets that are limited in time' },
  )
}

/**
 * Checks that a set may be written beside those that are there: same server, same kind. The newest readable set of
 * snap and the newest of influxd speak for all; a damaged one among readable ones does not stop a backup.
 * @throws SnapError `E_TARGET_FOREIGN`; `E_INTEGRITY` if there are sets and none can be read
 */
export async function checkTarget(
  listing: SetListing,
  { clusterId, kind }: TargetRules,
  signal?: AbortSignal,
): Promise<void> {
  const seen = new Set<ListedSet['kind']>()
  let damage: SnapError | undefined
  for (const listed of listing.sets) {
    if (seen.has(listed.kind)) continue
    try {
      const set = await readSet(listing, listed, signal)
      checkServer(listing.source, set, clusterId)
      checkKind(listing.source, set, kind)
      seen.add(listed.kind)
    } catch (error) {
      if (!(error instanceof SnapError) || error.exitCode !== 13) throw error
      damage ??= error
    }
  }
  if (seen.size === 0 && damage !== undefined) throw damage
}

/**
 * Takes the name for a set begun at `time`, or at the next second that is free, before its first byte.
 * @param reserve takes the name of a file for this run alone, as a store does
 */
export async function takeSetName(
  reserve: (fileName: string) => Promise<boolean>,
  time: Date,
  fileNames: Iterable<string>,
): Promise<string> {
  const known = [...fileNames]
  for (;;) {
    const name = nextFreeSetName(time, known)
    if (await reserve(manifestName(name))) return name
    known.push(manifestName(name))
  }
}

/** How long all files of an unfinished set must have been left alone to count as those of a dead run. */
const IDLE_MS = 60 * 60 * 1000

/**
 * Names the files that dead runs left in a target, in the order to delete them: all `.pending` files of sets at which
 * nothing was written for an hour, and what had its final name already of sets whose manifest never got one. The
 * reservation goes last, so that a clean-up that is cut short can be done again. Other files are never named.
 */
export function listLeftovers(files: FileListing, now: Date): string[] {
  const written = new Map<string, number>()
  const members = new Map<string, string[]>()
  for (const { name, modified } of files.values()) {
    const finalName = name.endsWith(PENDING_SUFFIX) ? name.slice(0, -PENDING_SUFFIX.length) : name
    const set = parseFileName(finalName)?.set
    if (set === undefined) continue
    written.set(set, Math.max(written.get(set) ?? 0, modified.getTime()))
    const names = members.get(set) ?? []
    names.push(name)
    members.set(set, names)
  }
  const leftovers: string[] = []
  for (const [set, names] of members) {
    if (now.getTime() - (written.get(set) ?? 0) < IDLE_MS) continue
    leftovers.push(...leftoversOf(set, names))
  }
  return leftovers
}

function leftoversOf(set: string, names: readonly string[]): string[] {
  const manifest = manifestName(set)
  const reservation = manifest + PENDING_SUFFIX
  const isDead = names.includes(reservation) && !names.includes(manifest)
  const others = names.filter((name) => name !== reservation)
  const left = isDead ? others : others.filter((name) => name.endsWith(PENDING_SUFFIX))
  return names.includes(reservation) ? [...left, reservation] : left
}
