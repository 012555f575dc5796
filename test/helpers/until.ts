import { setTimeout as sleep } from 'node:timers/promises'

/** Less than a test has, so that it is this that says what did not come true. */
const DEADLINE_MS = 25_000
const POLL_MS = 5

/** Waits until something is true, which is asked again and again. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + DEADLINE_MS
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not true after ${DEADLINE_MS} ms: ${isTrue}`)
    await sleep(POLL_MS)
  }
}
