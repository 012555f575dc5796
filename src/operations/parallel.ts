import { setMaxListeners } from 'node:events'
import pLimit from 'p-limit'

/** How many run at once, and what stops them. */
export interface ParallelOptions {
  readonly jobs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `run` for every item, at most `jobs` at once. The first failure aborts the signal given to the others, all are
 * awaited, and that first failure is thrown. Results come in the order of `items`.
 */
export async function mapParallel<T, R>(
  items: readonly T[],
  { jobs, signal }: ParallelOptions,
  run: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const stop = new AbortController()
  const all = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  // Several waits of each item listen at once.
  setMaxListeners(0, all)
  const limit = pLimit(jobs)
  const failures: unknown[] = []
  const results = await Promise.all(
    items.map((item) =>
      limit(async () => {
        if (all.aborted) return undefined
        try {
          return { value: await run(item, all) }
        } catch (error) {
          failures.push(error)
          stop.abort(error)
          return undefined
        }
      }),
    ),
  )
  if (failures.length > 0) throw failures[0]
  signal?.throwIfAborted()
  return results.flatMap((result) => (result ? [result.value] : []))
}
