import type { RandomAccess } from '../io/random-access.ts'

/** Reads small pieces of a {@link RandomAccess} in order with few reads: one window of it is kept in memory. */
export class Window {
  readonly #source: RandomAccess
  readonly #size: number
  #start = 0
  #bytes: Uint8Array = new Uint8Array()

  /** @param size bytes of the window; a larger piece is read by itself */
  constructor(source: RandomAccess, size: number) {
    this.#source = source
    this.#size = size
  }

  /** Returns `length` bytes at `offset`: a view, valid until the next call. */
  async at(offset: number, length: number): Promise<Uint8Array> {
    const from = offset - this.#start
    if (from >= 0 && from + length <= this.#bytes.length) {
      return this.#bytes.subarray(from, from + length)
    }
    const rest = this.#source.size - offset
    this.#bytes = await this.#source.read(offset, Math.max(length, Math.min(this.#size, rest)))
    this.#start = offset
    return this.#bytes.subarray(0, length)
  }
}
