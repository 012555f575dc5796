import type { Staged, Store } from '../storage/index.ts'
import { mapParallel } from './parallel.ts'

/** How many files get their names at once: in an object store each takes several requests. */
const JOBS = 8
/** How many unfinished names are removed at once where they stay: with one request, in most object stores. */
const REMOVED_AT_ONCE = 100

/**
 * Gives staged files their names, the last one when all others have theirs; if one cannot get its name, the others are
 * deleted again.
 * @param beforeLast what is done before that
 * @throws SnapError what {@link Staged.publish} throws; if it was an unfinished name that could not be removed, all have their names
 */
export async function publishAll(
  store: Store,
  staged: readonly Staged[],
  beforeLast?: () => Promise<void>,
): Promise<void> {
  const published: string[] = []
  try {
    const publish = async (file: Staged) => {
      await (file.takeName ? file.takeName() : file.publish())
      published.push(file.name)
    }
    await mapParallel(staged.slice(0, -1), { jobs: JOBS }, publish)
    await beforeLast?.()
    await mapParallel(staged.slice(-1), { jobs: 1 }, publish)
  } catch (error) {
    await Promise.allSettled(published.map((name) => store.delete(name)))
    throw error
  }
  const left = staged.filter(({ takeName }) => takeName !== undefined)
  await mapParallel(left, { jobs: REMOVED_AT_ONCE }, (file) => file.discard())
}
