import type { OnReadOpts, Socket } from 'node:net'

/** Most bytes of one read: what the kernel has kept for a connection is taken at once. */
const READ_SIZE = 256 * 1024
/** A read that has less room than this begins a new slab. */
const LEAST_ROOM = 64 * 1024
const FIRST_SLAB = LEAST_ROOM
const SLAB = 1024 * 1024

/**
 * Returns how a socket reads into memory that several reads share, in place of 64 KiB of its own for each: a quarter of the
 * reads, and less for the collector of garbage to keep count of. What is read belongs to the reader, as without.
 * @param socket the one that is made with it
 */
export function largeReads(socket: () => Socket): OnReadOpts {
  let slab = Buffer.allocUnsafeSlow(FIRST_SLAB)
  let used = 0
  return {
    buffer() {
      if (slab.length - used < LEAST_ROOM) {
        slab = Buffer.allocUnsafeSlow(SLAB)
        used = 0
      }
      return slab.subarray(used, used + READ_SIZE)
    },
    callback(size, bytes) {
      used += size
      return socket().push(bytes.subarray(0, size))
    },
  }
}
