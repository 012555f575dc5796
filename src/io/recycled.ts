/** Bytes of one buffer: as many as a connection sends in one piece. */
export const RECYCLED_SIZE = 512 * 1024
/** Buffers that are kept for whoever sends next: 16 MiB. */
const MAX_FREE = 32

const free: ArrayBuffer[] = []
/** Those that are in use: each comes back once. */
const taken = new WeakSet<ArrayBufferLike>()

/**
 * Returns a buffer of {@link RECYCLED_SIZE} bytes with anything in it. It need not come back: where its bytes go to somebody in
 * this process it is collected like any other. New ones for all that is sent would be collected ten times a second.
 */
export function takeBuffer(): Uint8Array<ArrayBuffer> {
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(RECYCLED_SIZE).buffer
  taken.add(buffer)
  return new Uint8Array(buffer)
}

/** Takes back the buffer that `chunk` is in, if it is one of ours. Nobody may look at it any more. */
export function recycle(chunk: Uint8Array): void {
  const { buffer } = chunk
  if (!taken.delete(buffer) || !(buffer instanceof ArrayBuffer)) return
  if (free.length < MAX_FREE) free.push(buffer)
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
