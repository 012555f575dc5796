import { setMaxListeners } from 'node:events'
import { SnapError } from '../errors.ts'

/** How many run at once, and what stops them. */
export interface ParallelOptions {
  readonly jobs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `run` for every item, at most `jobs` at once. The first failure aborts the signal given to the others, all are
 * awaited, and that first failure is thrown. Results come in the order of `items`.
 * @throws SnapError `E_USAGE` if there is to be no job
 */
export async function mapParallel<T, R>(
  items: readonly T[],
  { jobs, signal }: ParallelOptions,
  run: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  if (!(jobs >= 1)) throw new SnapError('E_USAGE', `${jobs} jobs, expected at least 1`)
  const stop = new AbortController()
  const all = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  // Several waits of each item listen at once.
  setMaxListeners(0, all)
  const failures: unknown[] = []
  const results: R[] = []
  const waiting = items.entries()
  // Each lane takes the next item when it is done with one: those that wait, of which there may be 30,000, take no memory.
  const lane = async () => {
    for (const [at, item] of waiting) {
      if (all.aborted) return
      try {
        results[at] = await run(item, all)
      } catch (error) {
        failures.push(error)
        stop.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, lane))
  if (failures.length > 0) throw failures[0]
  signal?.throwIfAborted()
  return results
}

/** So many may have a turn at the same time; the others wait until one of these ends. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(atOnce: number) {
    this.#free = atOnce
  }

  /** Waits for a turn, and returns what ends it: to be called, once or more often. */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
