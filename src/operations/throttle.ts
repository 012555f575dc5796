import { setTimeout as sleep } from 'node:timers/promises'

/** Passes chunks through at a bounded rate. One throttle is shared by all streams of a run. */
export type Throttle = (
  body: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
) => AsyncIterable<Uint8Array>

/** So much of a second a piece may take: who watches sees the bytes go, and several streams take turns. */
const PIECE = 0.25

/**
 * Returns a throttle of `bytesPerSecond` over all the streams that pass through it; undefined means no limit. Chunks that
 * would take long are passed in pieces.
 */
export function createThrottle(bytesPerSecond: number | undefined): Throttle {
  if (bytesPerSecond === undefined) return (body) => body
  let freeAt = 0
  const most = Math.max(1, Math.floor(bytesPerSecond * PIECE))
  return async function* (body, signal) {
    for await (const chunk of body) {
      for (let at = 0; at < chunk.length; at += most) {
        const piece = chunk.subarray(at, at + most)
        const now = performance.now()
        freeAt = Math.max(now, freeAt) + (piece.length / bytesPerSecond) * 1000
        yield piece
        const wait = freeAt - now
        if (wait > 1) await sleep(wait, undefined, { ...(signal && { signal }) })
      }
    }
  }
}
