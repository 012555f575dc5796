import { SnapError } from '../errors.ts'
import { Gathered } from './gathered.ts'

/** Reads a stream of chunks by size or up to a byte. Nothing is read ahead of what is asked for but the rest of a chunk. */
export class ChunkReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #name: string
  /** What came and was not taken yet. */
  #chunk: Uint8Array = new Uint8Array(0)
  #done = false

  /** @param name names the stream in messages */
  constructor(source: AsyncIterable<Uint8Array>, name: string) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#name = name
  }

  /** Returns whether no bytes are left; waits for the next ones to know. */
  async ended(): Promise<boolean> {
    while (this.#chunk.length === 0 && !this.#done) {
      const { done, value } = await this.#iterator.next()
      if (done === true) this.#done = true
      else this.#chunk = value
    }
    return this.#chunk.length === 0
  }

  /**
   * Reads exactly `length` bytes: a view over the stream's chunk if they came in one, else a copy. Memory is taken as
   * bytes arrive, so a length that was announced and never sent costs nothing.
   * @throws SnapError `E_CUT` if the stream ends before
   */
  async readExactly(length: number): Promise<Uint8Array> {
    const gathered = new Gathered(length)
    while (gathered.size < length) {
      if (await this.ended()) throw this.#cut(`${length} bytes`, gathered.size)
      const part = this.#take(length - gathered.size)
      if (part.length === length) return part
      gathered.add(part)
    }
    return gathered.bytes
  }

  /**
   * Reads up to and with the first `byte`.
   * @throws SnapError `E_CUT` if the stream ends before, `E_FORMAT` if the result would be longer than `limit`
   */
  async readUntil(byte: number, limit: number): Promise<Uint8Array> {
    const gathered = new Gathered(limit)
    for (;;) {
      if (await this.ended()) throw this.#cut(`a byte ${byte}`, gathered.size)
      const found = this.#chunk.indexOf(byte)
      const part = this.#take(found < 0 ? this.#chunk.length : found + 1)
      if (gathered.size + part.length > limit) {
        throw new SnapError('E_FORMAT', `${this.#name}: no byte ${byte} within ${limit} bytes`)
      }
      if (found >= 0 && gathered.size === 0) return part
      gathered.add(part)
      if (found >= 0) return gathered.bytes
    }
  }

  /** Gives the chunks that are left, as they come. Stopping early leaves the rest to be read. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    while (!(await this.ended())) {
      const chunk = this.#chunk
      this.#chunk = chunk.subarray(chunk.length)
      yield chunk
    }
  }

  /** Takes at most `limit` bytes of the chunk. */
  #take(limit: number): Uint8Array {
    const taken = this.#chunk.subarray(0, limit)
    this.#chunk = this.#chunk.subarray(taken.length)
    return taken
  }

  #cut(expected: string, got: number): SnapError {
    return new SnapError('E_CUT', `${this.#name}: expected ${expected}, ended after ${got}`, {
      retryable: true,
    })
  }
}
