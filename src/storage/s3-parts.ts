import { type BufferPool, sharedPool } from '../io/buffer-pool.ts'
import { copyInto } from '../io/copy-into.ts'

const MIB = 1024 * 1024
/**
 * The smallest that S3 takes but for the last part: there is one in memory for each upload at least. Parts of 7 MiB took 13 MiB more,
 * and no less time.
 */
const FIRST_SIZE = 5 * MIB
const LARGEST_SIZE = 1024 * MIB
/** Parts of the first size: 18.5 GiB. */
const FIRST_PARTS = 3800
/** Parts of each size after it, before the size doubles: 10,000, the most there can be, then hold 5.2 TiB, and S3 ends at 5 TiB. */
const PARTS_PER_SIZE = 150
/** Bytes of parts that the uploads of a store have in memory, but for one part of each. */
const SHARED_SIZE = 4 * FIRST_SIZE
/** Up to this a part grows, bytes; then it gets all the room that it may need. */
export const SMALL_SIZE = 64 * 1024

/** The size in bytes of the part with this index from 0: 5 MiB, more only in objects of many gigabytes. */
export function partSize(index: number): number {
  if (index < FIRST_PARTS) return FIRST_SIZE
  const doublings = 1 + Math.floor((index - FIRST_PARTS) / PARTS_PER_SIZE)
  return Math.min(FIRST_SIZE * 2 ** doublings, LARGEST_SIZE)
}

/**
 * The memory of the parts that a store sends, used again and again. All its uploads share it, and none waits for another: each
 * has one part whatever the others do, and more as long as all of them together have few.
 */
export class PartMemory {
  /** By size: memory that is hashed on another thread. */
  readonly #pools = new Map<number, BufferPool>()
  #taken = 0

  /** Tells whether an upload may have one more part of this size besides its `others`. */
  hasRoom(size: number, others: number): boolean {
    return others === 0 || this.#taken + size <= SHARED_SIZE
  }

  /** Returns a buffer of this size with anything in it. */
  take(size: number): Buffer {
    this.#taken += size
    return size > SMALL_SIZE ? this.#poolOf(size).take() : Buffer.allocUnsafeSlow(size)
  }

  /**
   * Takes back a buffer, or a part of it. To be called once.
   * @param isRead false if somebody may still read it
   */
  give(part: Buffer, isRead = true): void {
    const { byteLength } = part.buffer
    this.#taken -= byteLength
    if (isRead && byteLength > SMALL_SIZE) this.#poolOf(byteLength).give(part)
  }

  #poolOf(size: number): BufferPool {
    const pool = this.#pools.get(size) ?? sharedPool(size)
    this.#pools.set(size, pool)
    return pool
  }
}

/** A part of an object. */
export interface Part {
  /** To be given back to the memory that it is from. */
  readonly bytes: Buffer
  /** Nothing comes after it. */
  readonly isLast: boolean
}

/** A buffer of `limit` bytes, at first so many only for an object that is not small. */
class PartBuffer {
  readonly #limit: number
  readonly #memory: PartMemory
  #bytes: Buffer
  #size = 0

  constructor(limit: number, memory: PartMemory, first = 0) {
    this.#limit = limit
    this.#memory = memory
    this.#bytes = memory.take(first)
  }

  get isFull(): boolean {
    return this.#size === this.#limit
  }

  /** Copies what fits of `chunk` and returns the rest. */
  fill(chunk: Uint8Array): Uint8Array {
    const taken = Math.min(chunk.length, this.#limit - this.#size)
    const wanted = this.#size + taken
    if (wanted > this.#bytes.length) {
      const isSmall = wanted <= SMALL_SIZE
      const room = isSmall ? Math.min(2 * wanted, SMALL_SIZE, this.#limit) : this.#limit
      const larger = this.#memory.take(room)
      this.#bytes.copy(larger, 0, 0, this.#size)
      this.#memory.give(this.#bytes)
      this.#bytes = larger
    }
    copyInto(this.#bytes, this.#size, chunk.subarray(0, taken))
    this.#size = wanted
    return chunk.subarray(taken)
  }

  /** What is in it, once. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#size)
    this.#bytes = this.#memory.take(0)
    return bytes
  }

  /** Gives its memory back, unless it was taken out. */
  close(): void {
    this.#memory.give(this.#bytes)
  }
}

/**
 * Cuts `body` into parts, one in memory at a time; the caller owns them. There is always one, and only the only one can be
 * empty.
 * @param sizeOf the size of the part with this index
 */
export async function* cutParts(
  body: AsyncIterable<Uint8Array>,
  memory: PartMemory,
  sizeOf: (index: number) => number = partSize,
): AsyncGenerator<Part> {
  let index = 0
  let part = new PartBuffer(sizeOf(index), memory)
  try {
    for await (const chunk of body) {
      for (let rest = chunk; rest.length > 0; ) {
        if (part.isFull) {
          yield { bytes: part.take(), isLast: false }
          index += 1
          // All of it at once: whoever asks for a part has seen that there is room.
          part = new PartBuffer(sizeOf(index), memory, sizeOf(index))
        }
        rest = part.fill(rest)
      }
    }
    yield { bytes: part.take(), isLast: true }
  } finally {
    part.close()
  }
}
