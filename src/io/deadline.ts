/** Timers of Node cannot be set to more. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Waits for `wait` at most `ms`, then rejects with what `expired` returns. What is waited for goes on: `expired` is the
 * place to stop it. No timer is left behind.
 */
export async function withDeadline<T>(
  wait: Promise<T>,
  ms: number,
  expired: () => Error,
): Promise<T> {
  if (ms > MAX_TIMER_MS) return await wait
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(expired()), ms)
  })
  try {
    return await Promise.race([wait, deadline])
  } finally {
    clearTimeout(timer)
  }
}
