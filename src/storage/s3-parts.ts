const MIB = 1024 * 1024
const FIRST_SIZE = 8 * MIB
const LARGEST_SIZE = 1024 * MIB
/** Parts of one size before the size doubles: 10,000 parts, the most there can be, then hold 5.3 TiB, and S3 ends at 5 TiB. */
const PARTS_PER_SIZE = 750
const MAX_IN_FLIGHT = 4
/** Bytes of one upload that are in memory, unless a single part is larger. */
const MAX_BYTES_IN_FLIGHT = 256 * MIB

/** The size in bytes of the part with this index from 0: 8 MiB, more only in objects of many gigabytes. */
export function partSize(index: number): number {
  return Math.min(FIRST_SIZE * 2 ** Math.floor(index / PARTS_PER_SIZE), LARGEST_SIZE)
}

/** How many parts of this size are sent at once. */
export function partsInFlight(size: number): number {
  return Math.max(1, Math.min(MAX_IN_FLIGHT, Math.floor(MAX_BYTES_IN_FLIGHT / size)))
}

/** A part of an object. */
export interface Part {
  readonly bytes: Buffer
  /** Nothing comes after it. */
  readonly isLast: boolean
}

/** A buffer that grows up to `limit`, so that a small object takes little memory. */
class PartBuffer {
  readonly #limit: number
  #bytes: Buffer = Buffer.alloc(0)
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.#size === this.#limit
  }

  /** Copies what fits of `chunk` and returns the rest. */
  fill(chunk: Uint8Array): Uint8Array {
    const taken = Math.min(chunk.length, this.#limit - this.#size)
    const wanted = this.#size + taken
    if (wanted > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#limit, 2 * wanted))
      this.#bytes.copy(larger, 0, 0, this.#size)
      this.#bytes = larger
    }
    this.#bytes.set(chunk.subarray(0, taken), this.#size)
    this.#size = wanted
    return chunk.subarray(taken)
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#size)
  }
}

/**
 * Cuts `body` into parts, one in memory at a time; the caller owns them. There is always one, and only the only one can be
 * empty.
 * @param sizeOf the size of the part with this index
 */
export async function* cutParts(
  body: AsyncIterable<Uint8Array>,
  sizeOf: (index: number) => number = partSize,
): AsyncGenerator<Part> {
  let index = 0
  let part = new PartBuffer(sizeOf(index))
  for await (const chunk of body) {
    for (let rest = chunk; rest.length > 0; ) {
      if (part.isFull) {
        yield { bytes: part.take(), isLast: false }
        index += 1
        part = new PartBuffer(sizeOf(index))
      }
      rest = part.fill(rest)
    }
  }
  yield { bytes: part.take(), isLast: true }
}
