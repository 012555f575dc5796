import { freeMemory } from './free-memory.ts'

/** Bytes of one buffer. */
export const RECYCLED_SIZE = 512 * 1024
/** Bytes of a large one: as many as a connection sends in one piece. */
export const LARGE_RECYCLED_SIZE = 1024 * 1024
/** What is kept of each size for whoever is next. */
const MAX_FREE = 16 * 1024 * 1024

/** What buffers there are. */
export type RecycledSize = typeof RECYCLED_SIZE | typeof LARGE_RECYCLED_SIZE

const free = new Map<number, ArrayBuffer[]>([
  [RECYCLED_SIZE, []],
  [LARGE_RECYCLED_SIZE, []],
])
/** Those that are in use: each comes back once. */
const taken = new WeakSet<ArrayBufferLike>()

/**
 * Returns a buffer of `size` bytes with anything in it. It need not come back: where its bytes go to somebody in this process it
 * is collected like any other. New ones for all that is sent would be collected ten times a second.
 */
export function takeBuffer(size: RecycledSize = RECYCLED_SIZE): Uint8Array<ArrayBuffer> {
  const buffer = free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size).buffer
  taken.add(buffer)
  return new Uint8Array(buffer)
}

/** Takes back the buffer that `chunk` is in, if it is one of ours. Nobody may look at it any more. */
export function recycle(chunk: Uint8Array): void {
  const { buffer } = chunk
  if (!taken.delete(buffer) || !(buffer instanceof ArrayBuffer)) return
  const kept = free.get(buffer.byteLength)
  if (kept !== undefined && kept.length * buffer.byteLength < MAX_FREE) kept.push(buffer)
}

/** Frees the buffer that `chunk` is in, if it is one of ours. Nobody may look at it any more. */
export function freeRecycled(chunk: Uint8Array): void {
  if (taken.delete(chunk.buffer)) freeMemory(chunk)
}

/** Passes chunks on and recycles each when the next is asked for. One that is the last for whoever stops early is kept. */
export async function* recycling(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    yield chunk
    recycle(chunk)
  }
}
