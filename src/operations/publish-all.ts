import type { Staged, Store } from '../storage/index.ts'

/**
 * Gives staged files their names, in this order; if one cannot get its name, those before it are deleted again.
 * @throws SnapError what {@link Staged.publish} throws
 */
export async function publishAll(store: Store, staged: readonly Staged[]): Promise<void> {
  const published: string[] = []
  try {
    for (const file of staged) {
      await file.publish()
      published.push(file.name)
    }
  } catch (error) {
    await Promise.allSettled(published.map((name) => store.delete(name)))
    throw error
  }
}
