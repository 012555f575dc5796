import { setTimeout as sleep } from 'node:timers/promises'

/** Passes chunks through at a bounded rate. One throttle is shared by all streams of a run. */
export type Throttle = (
  body: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
) => AsyncIterable<Uint8Array>

/** Returns a throttle of `bytesPerSecond` over all the streams that pass through it; undefined means no limit. */
export function createThrottle(bytesPerSecond: number | undefined): Throttle {
  if (bytesPerSecond === undefined) return (body) => body
  let freeAt = 0
  return async function* (body, signal) {
    for await (const chunk of body) {
      const now = performance.now()
      freeAt = Math.max(now, freeAt) + (chunk.length / bytesPerSecond) * 1000
      yield chunk
      const wait = freeAt - now
      if (wait > 1) await sleep(wait, undefined, { ...(signal && { signal }) })
    }
  }
}
