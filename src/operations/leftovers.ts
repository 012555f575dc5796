import { SnapError } from '../errors.ts'
import { isAbandonedName, isGone, parseOwner } from '../io/process-owner.ts'
import type { SetListing } from '../portable/sets.ts'
import { listUnfinished, type UnfinishedSet } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'

/** How long the files of an unfinished set must have been left alone, in ms, where its run cannot be asked. */
const IDLE_MS = 60 * 60 * 1000
/** A reservation holds a few words about a process. */
const MAX_RESERVATION = 4096

/**
 * Removes what dead runs left in a target: of runs of this machine as soon as their process is gone, of others when
 * nothing was written for an hour.
 * @throws SnapError `E_DESTINATION` if something cannot be deleted
 */
export async function removeLeftovers(store: Store, { files }: SetListing): Promise<void> {
  for (const name of files.keys()) if (isAbandonedName(name)) await store.delete(name)
  for (const unfinished of listUnfinished(files)) {
    if (!(await isDead(store, unfinished))) continue
    for (const name of unfinished.leftovers) await store.delete(name)
  }
}

async function isDead(store: Store, { reservation, written }: UnfinishedSet): Promise<boolean> {
  const owner = reservation && parseOwner(await readSmall(store, reservation))
  if (owner) return isGone(owner)
  return Date.now() - written.getTime() > IDLE_MS
}

/** Reads a small file as text, no more than about `limit` bytes; empty if it is not there any more. */
export async function readSmall(
  store: Store,
  name: string,
  limit = MAX_RESERVATION,
): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of store.read(name)) {
      chunks.push(chunk)
      size += chunk.length
      if (size > limit) break
    }
  } catch (error) {
    // Its run has ended meanwhile.
    if (!(error instanceof SnapError)) throw error
  }
  return Buffer.concat(chunks).toString()
}
