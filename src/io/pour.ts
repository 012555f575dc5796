import { finished, type Writable } from 'node:stream'

/**
 * Writes `chunks` to `sink`, which stays open. Each is asked for while the one before it is on its way.
 * @throws what they throw, the error of a sink that breaks, and the reason of `signal` once it is aborted; `chunks` are ended then
 */
export async function pour(
  chunks: AsyncIterable<Uint8Array>,
  sink: Writable,
  signal: AbortSignal,
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]()
  const room = new Room(sink, signal)
  try {
    let next = iterator.next()
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = iterator.next()
      // Its error is for the next round, which may never come.
      next.catch(() => {})
      await room.write(value)
    }
  } finally {
    room.close()
    await iterator.return?.()
  }
}

/** Room in a sink, as it comes. */
class Room {
  readonly #sink: Writable
  readonly #signal: AbortSignal
  readonly #unwatch: () => void
  readonly #onDrain = () => this.#wake()
  readonly #onAbort = () => this.#fail(this.#signal.reason)
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => {}

  constructor(sink: Writable, signal: AbortSignal) {
    this.#sink = sink
    this.#signal = signal
    this.#unwatch = finished(sink, { readable: false }, (error) => {
      this.#fail(error ?? new Error('the sink was ended'))
    })
    sink.on('drain', this.#onDrain)
    signal.addEventListener('abort', this.#onAbort)
    if (signal.aborted) this.#onAbort()
  }

  /** Writes a chunk and waits until there is room for another one. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#check()
    if (this.#sink.write(chunk)) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#failure !== undefined) resolve()
    })
    this.#check()
  }

  close(): void {
    this.#unwatch()
    this.#sink.off('drain', this.#onDrain)
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
