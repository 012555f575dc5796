import { setTimeout as sleep } from 'node:timers/promises'
import { SnapError } from '../errors.ts'

/** Wait before the second, third, fourth try, in ms; the last one repeats. */
const WAITS_MS = [500, 1_000, 2_000]

/** How a transfer is tried again. */
export interface RetryOptions {
  /** Times it is tried in all, at least 1. */
  readonly attempts: number
  readonly signal?: AbortSignal | undefined
  /** Told before each wait. */
  readonly onRetry?: ((error: SnapError, attempt: number, waitMs: number) => void) | undefined
}

/** Runs `run` until it succeeds, fails with an error that is not retryable, or has been tried `attempts` times. */
export async function withRetries<T>(
  run: (attempt: number) => Promise<T>,
  { attempts, signal, onRetry }: RetryOptions,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await run(attempt)
    } catch (error) {
      const again = error instanceof SnapError && error.retryable && attempt < attempts
      if (!again || signal?.aborted) throw error
      const wait = WAITS_MS[Math.min(attempt, WAITS_MS.length) - 1] ?? 0
      onRetry?.(error, attempt, wait)
      await sleep(wait, undefined, { ...(signal && { signal }) })
    }
  }
}
