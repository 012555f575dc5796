import { listSets } from '../portable/listing.ts'
import { readHead } from '../portable/set-files.ts'
import type { Store } from '../storage/index.ts'

/** Returns the names of the sets of a target, newest first. */
export async function setNames(store: Store, signal: AbortSignal): Promise<string[]> {
  const { sets } = await listSets(store, signal)
  return sets.map(({ name }) => name)
}

/** Returns the databases that the newest set of a target has archives of. */
export async function newestDatabases(store: Store, signal: AbortSignal): Promise<string[]> {
  const listing = await listSets(store, signal)
  const [newest] = listing.sets
  if (newest === undefined) return []
  const { manifest } = await readHead(listing, newest, signal)
  return [...new Set(manifest.files.map(({ database }) => database))].sort()
}
