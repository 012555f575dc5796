import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Writable } from 'node:stream'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { withDeadline } from './deadline.ts'
import { giveBack } from './large-reads.ts'
import { LARGE_RECYCLED_SIZE, recycle } from './recycled.ts'

/** Writes are cut to this, so that a deadline runs per piece and not per metastore. */
const WRITE_SIZE = LARGE_RECYCLED_SIZE
/** Bytes that have to come within the idle time: a peer that sends one now and then would else be waited for for ever. */
const PROGRESS = 1024

/** How {@link Connection.chunks} gives bytes. */
export interface ReadOptions {
  /** Chunks may change when the next is asked for, as their memory is used again. Default false: they are the reader's. */
  readonly reused?: boolean | undefined
}

/** How a {@link Connection} is called and watched. */
export interface ConnectionOptions {
  /** Names the peer in messages. */
  readonly name: string
  /** Longest wait in ms for the peer to send the next 1,024 bytes, or to take the next megabyte. */
  readonly idle: number
  /** Ends the connection when aborted. */
  readonly signal?: AbortSignal | undefined
  /** The TCP connection under TLS: TLS itself knows no reset. */
  readonly transport?: Socket | undefined
  /** Names errors of the streams underneath that have a meaning of their own. */
  readonly explain?: ((error: unknown) => SnapError | undefined) | undefined
}

/**
 * A connection on which no wait is for ever. The first failure ({@link fail}, a deadline, the signal, the peer) is the
 * error of every wait, whatever the streams underneath say. A failed TCP connection is reset, so that the peer cannot
 * take its end for success; one inside the process is destroyed with the error, which thus reaches the other end.
 * The other way round Node is not as clear: a reset that arrives together with data is reported as a regular end, so
 * whatever is read must show by itself that it is whole.
 */
export class Connection {
  readonly name: string
  readonly #duplex: Duplex
  /** What is reset when the connection fails. */
  readonly #transport: Duplex
  readonly #idle: number
  readonly #explain: ConnectionOptions['explain']
  readonly #ended = new AbortController()
  #failure: SnapError | undefined
  /** Settled when all that was handed over has left the process. */
  #sent: Promise<void> = Promise.resolve()
  /** Settled when all but the last of it has. */
  #before: Promise<void> = Promise.resolve()
  #written = 0

  constructor(duplex: Duplex, options: ConnectionOptions) {
    const { name, idle, signal, transport = duplex, explain } = options
    this.name = name
    this.#duplex = duplex
    this.#transport = transport
    this.#idle = idle
    this.#explain = explain
    // Every wait reports the failure; with no listener at all Node would end the process.
    duplex.on('error', (error) => this.#reasonOf(error))
    const closed = () => this.#ended.abort(this.#reasonOf(duplex.errored))
    if (duplex.destroyed) closed()
    else duplex.once('close', closed)
    if (signal !== undefined) this.#failOn(signal)
  }

  /** Aborted, with the failure as its reason, when the connection is closed. */
  get signal(): AbortSignal {
    return this.#ended.signal
  }

  /** True if the other end is in this process and sees the errors of this one. */
  get inProcess(): boolean {
    return !(this.#duplex instanceof Socket)
  }

  /** Bytes handed over for sending. */
  get written(): number {
    return this.#written
  }

  /**
   * Waits for `wait` at most `ms`, then fails the connection with `E_TIMEOUT`.
   * @param what what is waited for, for the message: `no <what> in 10 s`
   */
  async within<T>(ms: number, what: string, wait: Promise<T>): Promise<T> {
    return await this.#within(wait, ms, `no ${what} in ${ms / 1000} s`)
  }

  async #within<T>(wait: Promise<T>, ms: number, expired: string): Promise<T> {
    return await withDeadline(wait, ms, () => {
      const text = `${this.name}: ${expired}`
      const error = new SnapError('E_TIMEOUT', text, { retryable: true })
      this.fail(error)
      return error
    })
  }

  /**
   * Gives what the peer sends until it ends. May be called once. Stopping early leaves the connection as it is.
   * @param first longest wait in ms for the first bytes; of later ones 1,024 must come within the idle time. Only waiting counts
   * @throws SnapError `E_TIMEOUT`, `E_CUT` if the connection breaks, or what it was failed with
   */
  async *chunks(
    first = this.#idle,
    { reused = false }: ReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = this.#duplex.iterator({ destroyOnReturn: false })
    const patience = new Patience(first, this.#idle)
    try {
      for (;;) {
        const { left, expired } = patience
        const begun = performance.now()
        const next: IteratorResult<unknown> = await this.#within(iterator.next(), left, expired)
        const waited = performance.now() - begun
        if (next.done === true) return
        if (!(next.value instanceof Uint8Array)) throw new TypeError('expected a stream of bytes')
        patience.spend(waited, next.value.length)
        yield next.value
        if (reused) takeBack(next.value)
      }
    } catch (error) {
      throw this.#reasonOf(error)
    } finally {
      await iterator.return?.()
    }
  }

  /**
   * Sends bytes and waits until there is room for more: until the piece before them has left, so that there is always one to
   * send while the next is made. They must not change until the connection is closed.
   * @throws SnapError as {@link chunks}
   */
  async write(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += WRITE_SIZE) {
      const piece = bytes.subarray(start, start + WRITE_SIZE)
      this.#written += piece.length
      this.#send((sent) => this.#duplex.write(piece, sent))
      if (this.#duplex.writableNeedDrain) await this.#left(this.#before)
    }
  }

  /** Sends the last bytes, and ends our side when all have left the process. */
  async end(last: Uint8Array = new Uint8Array(0)): Promise<void> {
    await this.write(last)
    // A connection that is ending cannot be reset, so it must not begin to with bytes that still wait for room.
    await this.#flush()
    this.#send((sent) => this.#duplex.end(sent))
    await this.#flush()
  }

  /** Returns a sink that sends what is written to it. Ending or destroying it does nothing to the connection. */
  sink(): Writable {
    const sink = new Writable({
      write: (chunk: Uint8Array, _encoding, callback) => {
        this.writeRecycled(chunk).then(() => callback(), callback)
      },
    })
    sink.on('error', () => {})
    return sink
  }

  /** As {@link write}, and recycles the bytes when they have left; a reader in this process has to do so itself. */
  async writeRecycled(bytes: Uint8Array): Promise<void> {
    await this.write(bytes)
    if (this.inProcess) return
    const takeBack = () => recycle(bytes)
    this.#sent.then(takeBack, () => {})
  }

  /** Breaks the connection: every wait on it fails with `error`, unless it failed before. */
  fail(error: SnapError): void {
    this.#failure ??= error
    const duplex = this.#duplex
    const transport = this.#transport
    const ending = duplex.writableEnded && !duplex.writableFinished
    if (transport instanceof Socket && !transport.connecting && !ending && !transport.destroyed) {
      try {
        // TLS above follows by itself. Destroyed here and now it would go from under the hands of OpenSSL, which may be
        // in the middle of the handshake that we are called from.
        transport.resetAndDestroy()
        return
      } catch {
        // Only TCP knows a reset; a pipe is just closed.
      }
    }
    duplex.destroy(this.#failure)
  }

  /** Closes the connection. A peer that has not ended is told by a break: it may be busy with what nobody waits for. */
  close(): void {
    if (this.#duplex.readableEnded) this.#duplex.destroy()
    else this.fail(new SnapError('E_CUT', `${this.name}: connection closed before its end`))
  }

  /** Hands something over, of which {@link #flush} waits to be told that it left. */
  #send(handOver: (sent: (error?: Error | null) => void) => void): void {
    // Node calls an end after a reset a success, and TLS does not know of one at once.
    const { destroyed, errored } = this.#duplex
    if (destroyed || this.#failure !== undefined) throw this.#reasonOf(errored)
    this.#before = this.#sent
    this.#sent = new Promise((resolve, reject) => {
      handOver((error) => (error ? reject(error) : resolve()))
    })
    this.#sent.catch(() => {})
  }

  async #flush(): Promise<void> {
    // One after the other: each has the idle time for itself.
    await this.#left(this.#before)
    await this.#left(this.#sent)
  }

  async #left(sent: Promise<void>): Promise<void> {
    try {
      await this.within(this.#idle, 'room for data', sent)
    } catch (error) {
      throw this.#reasonOf(error)
    }
  }

  #failOn(signal: AbortSignal): void {
    const abort = () => this.fail(asSnapError(signal.reason, 'E_INTERRUPTED', this.name))
    if (signal.aborted) {
      abort()
      return
    }
    signal.addEventListener('abort', abort, { once: true })
    this.#duplex.once('close', () => signal.removeEventListener('abort', abort))
  }

  /** Returns the failure of the connection; the first error that comes becomes it. */
  #reasonOf(error: unknown): SnapError {
    this.#failure ??= this.#toFailure(error)
    return this.#failure
  }

  #toFailure(error: unknown): SnapError {
    if (error instanceof SnapError) return error
    const explained = this.#explain?.(error)
    if (explained !== undefined) return explained
    const errno = errnoOf(error)
    const code = errno === 'ETIMEDOUT' ? 'E_TIMEOUT' : 'E_CUT'
    const how = errno === 'ECONNRESET' || errno === 'EPIPE' ? 'reset by the peer' : 'broken'
    return new SnapError(code, `${this.name}: connection ${how}`, { cause: error, retryable: true })
  }
}

/** Takes memory back that was read into, or that the other end inside the process sent out of. */
function takeBack(chunk: Uint8Array): void {
  giveBack(chunk)
  recycle(chunk)
}

/** How long a peer is still waited for that has to send on; in ms. */
class Patience {
  readonly #idle: number
  /** The whole wait that {@link left} is the rest of, and what came in it. */
  #whole: number
  #got: number | undefined
  left: number

  constructor(first: number, idle: number) {
    this.#idle = idle
    this.#whole = first
    this.left = first
  }

  /** Says what did not happen when there is nothing left. */
  get expired(): string {
    const seconds = `${this.#whole / 1000} s`
    return this.#got ? `no more than ${this.#got} bytes in ${seconds}` : `no data in ${seconds}`
  }

  /** Takes what a wait took of it, and gives it back whole for the first bytes and for enough of them. */
  spend(waited: number, bytes: number): void {
    const isFirst = this.#got === undefined
    this.#got = (this.#got ?? 0) + bytes
    this.left = Math.max(0, this.left - waited)
    if (!isFirst && this.#got < PROGRESS) return
    this.#whole = this.#idle
    this.left = this.#idle
    this.#got = 0
  }
}
