import { freeMemory } from '../io/free-memory.ts'

/** As many blocks are kept whatever their size: one reader goes through the index of a file and through its data. */
const LEAST_BLOCKS = 2
/** What is smaller may be in memory that Node shares out. */
const LEAST_FREED = 64 * 1024

interface Kept {
  readonly bytes: Promise<Uint8Array>
  readonly size: number
  /** Who looks at it or waits for it. */
  users: number
}

/**
 * The inflated blocks of an archive that were used last. The memory of others is freed at once: V8, which counts and does not see
 * it, would collect its heap for every few megabytes, or let many of them wait.
 */
export class KeptBlocks {
  readonly #inflate: (number: number) => Promise<Uint8Array>
  readonly #sizeOf: (number: number) => number
  readonly #most: number
  readonly #kept = new Map<number, Kept>()
  #size = 0

  /**
   * @param inflate makes a block, in memory of its own
   * @param sizeOf tells its size without making it
   * @param most bytes of blocks that are kept, those being made included; two blocks are in any case
   */
  constructor(
    inflate: (number: number) => Promise<Uint8Array>,
    sizeOf: (number: number) => number,
    most: number,
  ) {
    this.#inflate = inflate
    this.#sizeOf = sizeOf
    this.#most = most
  }

  /**
   * Calls `look` with the bytes of a block, which are gone when it has returned.
   * @throws what making the block throws: it is tried again the next time
   */
  async use(number: number, look: (bytes: Uint8Array) => void): Promise<void> {
    const kept = this.#take(number)
    kept.users++
    try {
      look(await kept.bytes)
    } catch (error) {
      if (this.#kept.get(number) === kept) this.#drop(number, kept)
      throw error
    } finally {
      kept.users--
      if (this.#kept.get(number) !== kept) free(kept)
    }
  }

  /** Frees all. */
  clear(): void {
    for (const [number, kept] of this.#kept) this.#drop(number, kept)
  }

  #take(number: number): Kept {
    const found = this.#kept.get(number)
    // Deleted and set again, so that the one used last stands last.
    this.#kept.delete(number)
    const size = found?.size ?? this.#sizeOf(number)
    if (found === undefined) {
      this.#size += size
      this.#makeRoom()
    }
    const kept = found ?? { bytes: this.#inflate(number), size, users: 0 }
    this.#kept.set(number, kept)
    return kept
  }

  /** Lets the oldest blocks go before another one is made. */
  #makeRoom(): void {
    for (const [number, kept] of this.#kept) {
      if (this.#size <= this.#most || this.#kept.size < LEAST_BLOCKS) return
      this.#drop(number, kept)
    }
  }

  #drop(number: number, kept: Kept): void {
    this.#kept.delete(number)
    this.#size -= kept.size
    free(kept)
  }
}

/** Frees a block that is not kept any more, once nobody uses it. */
function free({ bytes, users }: Kept): void {
  if (users > 0) return
  bytes.then(
    (inflated) => {
      if (inflated.length >= LEAST_FREED) freeMemory(inflated)
    },
    () => {},
  )
}
