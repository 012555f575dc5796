import { SnapError } from '../errors.ts'
import { ByteSource } from './byte-source.ts'
import { type ReadTarOptions, readShardTar, type TarEntry } from './reader.ts'

/** Looks at one entry while it passes; what it does not read of the body is skipped. */
export type OnEntry = (entry: TarEntry) => Promise<void> | void

/**
 * Passes a shard tar on, chunk by chunk and unchanged, while `onEntry` sees every entry in flow. A chunk is passed on
 * after it was looked at, so nothing is held but that chunk; the last one is followed by the end only if the tar was
 * whole. When the consumer stops early, a running `onEntry` finds its body failing and is waited for.
 * @throws whatever {@link readShardTar} or `onEntry` throws
 */
export async function* tapShardTar(
  body: AsyncIterable<Uint8Array>,
  onEntry: OnEntry,
  options: ReadTarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = new ByteSource(body, options.signal)
  const handoff = new Handoff()
  const looking = look(handoff, onEntry, options)
  looking.then(
    () => handoff.leave(),
    (error) => handoff.leave(error),
  )
  try {
    for (;;) {
      const chunk = await source.take(Number.MAX_SAFE_INTEGER)
      if (chunk === undefined) break
      await handoff.put(chunk)
      yield chunk
    }
    handoff.end()
    await looking
  } catch (error) {
    handoff.fail(error)
    throw error
  } finally {
    handoff.fail(new SnapError('E_CUT', `${options.name ?? 'shard tar'}: left before its end`))
    await looking.catch(() => {})
    await source.close()
  }
}

async function look(
  chunks: AsyncIterable<Uint8Array>,
  onEntry: OnEntry,
  options: ReadTarOptions,
): Promise<void> {
  for await (const entry of readShardTar(chunks, options)) await onEntry(entry)
}

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** Hands chunks to one reader, each put resolving when the reader asks for the next. */
class Handoff implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  #chunk: Uint8Array | undefined
  #ending: { readonly error: unknown } | 'end' | undefined
  #left: { readonly error: unknown } | undefined
  #putter: Waiter<void> | undefined
  #taker: Waiter<IteratorResult<Uint8Array>> | undefined;

  [Symbol.asyncIterator](): this {
    return this
  }

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
