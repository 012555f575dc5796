import { asSnapError, SnapError } from '../errors.ts'

/** Pulls bytes out of a stream in pieces of the size asked for; nothing is read ahead. */
export class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal | undefined
  #chunk: Uint8Array = new Uint8Array(0)
  #offset = 0
  #busy = false
  #ended = false
  #closed = false

  constructor(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
    this.#iterator = body[Symbol.asyncIterator]()
    this.#signal = signal
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#offset
  }

  /** Returns between 1 and `limit` bytes, a view over what the stream gave, or undefined at its end. */
  async take(limit: number): Promise<Uint8Array | undefined> {
    if (this.#busy) throw new SnapError('E_FAILED', 'shard tar: two readers at the same time')
    if (this.#closed) throw new SnapError('E_FAILED', 'shard tar: read after it was closed')
    this.#busy = true
    try {
      while (this.#chunk.length === 0 && !this.#ended) await this.#pull()
    } finally {
      this.#busy = false
    }
    if (this.#chunk.length === 0) return undefined
    const bytes = this.#chunk.subarray(0, limit)
    this.#chunk = this.#chunk.subarray(bytes.length)
    this.#offset += bytes.length
    return bytes
  }

  /** Returns exactly `length` bytes, or fewer if the stream ends before. A copy unless they came in one chunk. */
  async takeAll(length: number): Promise<Uint8Array> {
    const first = await this.take(length)
    if (first === undefined || first.length === length) return first ?? new Uint8Array(0)
    const bytes = new Uint8Array(length)
    bytes.set(first)
    for (let filled = first.length; filled < length; ) {
      const piece = await this.take(length - filled)
      if (piece === undefined) return bytes.subarray(0, filled)
      bytes.set(piece, filled)
      filled += piece.length
    }
    return bytes
  }

  /** Tells the stream that no more is wanted, unless it has ended. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#ended) return
    const closing = this.#iterator.return?.()
    if (closing === undefined) return
    if (this.#signal?.aborted !== true) {
      await closing
      return
    }
    // An iterator that is still waiting for data answers `return` only when that wait ends, which may be never.
    closing.catch(() => {})
  }

  async #pull(): Promise<void> {
    const result = await this.#nextOrAbort()
    if (result.done === true) this.#ended = true
    else this.#chunk = result.value
  }

  async #nextOrAbort(): Promise<IteratorResult<Uint8Array>> {
    const signal = this.#signal
    if (signal === undefined) return await this.#next()
    if (signal.aborted) throw reasonOf(signal)
    let onAbort = () => {}
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(reasonOf(signal))
    })
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([this.#next(), aborted])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#iterator.next()
    } catch (error) {
      this.#ended = true
      throw error
    }
  }
}

function reasonOf(signal: AbortSignal): SnapError {
  return asSnapError(signal.reason, 'E_FAILED', 'shard tar: stopped')
}
