import { EXIT_CODES, SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { isAbandonedName, isGone, parseOwner } from '../io/process-owner.ts'
import { readHead } from '../portable/set-files.ts'
import type { SetListing } from '../portable/sets.ts'
import { listUnfinished, setOf, type UnfinishedSet } from '../portable/target.ts'
import { isProbe, type Store } from '../storage/index.ts'
import { mapParallel } from './parallel.ts'
import { readSmall } from './read-small.ts'

/** How long the files of an unfinished set must have been left alone, in ms, where its run cannot be asked. */
const IDLE_MS = 60 * 60 * 1000
/** How many files are removed at once. */
const JOBS = 8

/**
 * Removes what dead runs left in a target: of runs of this machine as soon as their process is gone, of others when
 * nothing was written for an hour.
 * @param kept sets that are left as they are
 * @throws SnapError `E_DESTINATION` if something cannot be deleted
 */
export async function removeLeftovers(
  store: Store,
  listing: SetListing,
  kept: ReadonlySet<string> = new Set(),
): Promise<void> {
  const { files } = listing
  const isIdle = (since: number) => Date.now() - since > IDLE_MS
  for (const { name, modifiedAt } of files.values()) {
    if (isAbandonedName(name) || (isProbe(name) && isIdle(modifiedAt))) await store.delete(name)
  }
  const dead = new Set<string>()
  const alive = new Set<string>()
  for (const unfinished of listUnfinished(files)) {
    if (kept.has(unfinished.set)) continue
    const isOver = await isDead(store, unfinished)
    ;(isOver ? dead : alive).add(unfinished.set)
    if (isOver) await removeAll(store, listing, unfinished)
  }
  await abortUploads(store, (set, started) => {
    if (alive.has(set)) return false
    return dead.has(set) || isIdle(started.getTime())
  })
}

/** Removes what is left of a set: in any order, but the reservation last. */
async function removeAll(
  store: Store,
  listing: SetListing,
  { leftovers, reservation }: UnfinishedSet,
): Promise<void> {
  const shared = await sharedFiles(listing, leftovers)
  const files = leftovers.filter((name) => name !== reservation && !shared?.has(name))
  const removable = shared === undefined ? files.filter(isPending) : files
  await mapParallel(removable, { jobs: JOBS }, (name, signal) => store.delete(name, signal))
  if (reservation !== undefined && shared !== undefined) await store.delete(reservation)
}

function isPending(name: string): boolean {
  return name.endsWith(PENDING_SUFFIX)
}

/**
 * Finds what whole sets share with an unfinished one, such as a copy of a set of which shared archives had been kept. It is
 * asked only where something has its final name already; undefined if a set cannot be read then.
 */
async function sharedFiles(
  listing: SetListing,
  leftovers: readonly string[],
): Promise<ReadonlySet<string> | undefined> {
  const shared = new Set<string>()
  if (leftovers.every(isPending)) return shared
  try {
    for (const set of listing.sets) {
      const { manifest, catalog } = await readHead(listing, set)
      for (const { fileName } of manifest.files) shared.add(fileName)
      for (const { name } of catalog?.files ?? []) shared.add(name)
    }
    return shared
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
    return undefined
  }
}

/** Gives up the uploads of sets that no run writes any more. A set without a file may be one that has just begun. */
async function abortUploads(
  store: Store,
  isOver: (set: string, started: Date) => boolean,
): Promise<void> {
  for await (const { name, started, abort } of store.uploads?.() ?? []) {
    const set = setOf(name)
    if (set !== undefined && isOver(set, started)) await abort()
  }
}

/** True if the run that made an unfinished set has ended, as far as that can be told. */
export async function isDead(
  store: Store,
  { reservation, written }: Pick<UnfinishedSet, 'reservation' | 'written'>,
): Promise<boolean> {
  const owner = reservation && parseOwner(await readSmall(store, reservation))
  if (owner) return isGone(owner)
  return Date.now() - written.getTime() > IDLE_MS
}
