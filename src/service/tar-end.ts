const BLOCK_SIZE = 512
const TRAILER_SIZE = 2 * BLOCK_SIZE

/** Follows a tar that passes, to tell at its end whether it was whole. */
export class TarEnd {
  /** Bytes that have passed. */
  size = 0
  /** Zero bytes at the end of them. */
  #zeros = 0

  /** Takes the next bytes. */
  pass(chunk: Uint8Array): void {
    this.size += chunk.length
    const last = chunk.findLastIndex((byte) => byte !== 0)
    this.#zeros = last < 0 ? this.#zeros + chunk.length : chunk.length - 1 - last
  }

  /** Whether it has the size of a tar and ends in its trailer. */
  get isWhole(): boolean {
    return this.size % BLOCK_SIZE === 0 && this.#zeros >= TRAILER_SIZE
  }
}
