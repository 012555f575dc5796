interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** Hands chunks to one reader, each {@link Handoff.put} resolving when the reader asks for the next: nothing piles up. */
export class Handoff implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  #chunk: Uint8Array | undefined
  #ending: { readonly error: unknown } | 'end' | undefined
  #left: { readonly error: unknown } | undefined
  #putter: Waiter<void> | undefined
  #taker: Waiter<IteratorResult<Uint8Array>> | undefined;

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Gives a chunk; rejects if the reader has left with an error. */
  put(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#putter = { resolve, reject }
      this.#chunk = chunk
      this.#settle()
    })
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const taken = this.#chunk === undefined
    return new Promise((resolve, reject) => {
      this.#taker = { resolve, reject }
      if (taken) {
        this.#putter?.resolve()
        this.#putter = undefined
      }
      this.#settle()
    })
  }

  /** No more chunks will come. */
  end(): void {
    this.#ending ??= 'end'
    this.#settle()
  }

  /** The chunks end in `error`. */
  fail(error: unknown): void {
    this.#ending ??= { error }
    this.#settle()
  }

  /** The reader is gone; `error` says why. */
  leave(error?: unknown): void {
    this.#left = { error }
    this.#settle()
  }

  #settle(): void {
    if (this.#left !== undefined && this.#putter !== undefined) {
      if (this.#left.error === undefined) this.#putter.resolve()
      else this.#putter.reject(this.#left.error)
      this.#putter = undefined
    }
    if (this.#taker === undefined) return
    const taker = this.#taker
    if (this.#chunk !== undefined) {
      this.#taker = undefined
      const value = this.#chunk
      this.#chunk = undefined
      taker.resolve({ done: false, value })
    } else if (this.#ending !== undefined) {
      this.#taker = undefined
      if (this.#ending === 'end') taker.resolve({ done: true, value: undefined })
      else taker.reject(this.#ending.error)
    }
  }
}
