import type { Store } from '../storage/index.ts'
import { mapParallel } from './parallel.ts'

/** How many files are locked at once. */
const JOBS = 16

/**
 * Keeps files that a new set shares with older ones from being deleted as long as its own, where a store locks what is
 * published.
 * @throws SnapError what `Store.retain` throws
 */
export async function retainAll(
  store: Store,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (store.retain === undefined) return
  await mapParallel(names, { jobs: JOBS, signal }, async (name, stop) => {
    await store.retain?.(name, stop)
  })
}
