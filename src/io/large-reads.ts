import type { OnReadOpts, Socket } from 'node:net'
import { BufferPool } from './buffer-pool.ts'

/** Most bytes of one read: what the kernel has kept for a connection is taken at once. */
const READ_SIZE = 512 * 1024
/** The first answer may be all that comes. */
const FIRST_SIZE = 4 * 1024
/** What is less than this gets memory of its own, so that it does not hold on to that of a whole read. */
const LEAST_LARGE = 32 * 1024
/** Memory that is kept for later reads: 8 MiB. */
const POOL = new BufferPool(READ_SIZE, 16)

/** Memory that is with a reader: each comes back once. */
const lent = new WeakSet<ArrayBufferLike>()

/**
 * Returns how a socket reads into large memory, in place of 64 KiB of its own for each read: a quarter of the reads. What is
 * read belongs to the reader, who may {@link giveBack} it.
 * @param socket the one that is made with it
 */
export function largeReads(socket: () => Socket): OnReadOpts {
  let room: Buffer = Buffer.allocUnsafe(FIRST_SIZE)
  return {
    buffer: () => room,
    callback(size, bytes) {
      const isWhole = size === bytes.length
      if (size < LEAST_LARGE) {
        if (isWhole) room = POOL.take()
        return socket().push(Buffer.from(bytes.subarray(0, size)))
      }
      lent.add(room.buffer)
      room = POOL.take()
      return socket().push(bytes.subarray(0, size))
    },
  }
}

/**
 * Takes back all of the memory that `chunk` is in, if {@link largeReads} gave it. Nobody may look at it any more. New memory for
 * all that is read would make V8 collect garbage for every ten megabytes.
 */
export function giveBack({ buffer }: Uint8Array): void {
  if (lent.delete(buffer) && buffer instanceof ArrayBuffer) POOL.give(Buffer.from(buffer))
}
