import { Duplex } from 'node:stream'
import { SnapError } from '../errors.ts'

/** Pieces that wait for a reader; another one finds no room. */
const MAX_WAITING = 3

/**
 * Returns both ends of a connection inside the process. Each end can be closed for writing alone, a write waits until
 * the other end has room, and `destroy(error)` on one makes the other fail with the same error. An end that is
 * destroyed without an error before it said all fails the other with `E_CUT`.
 */
export function duplexPair(): [Duplex, Duplex] {
  const first = new End()
  const second = new End()
  first.connect(second)
  second.connect(first)
  return [first, second]
}

class End extends Duplex {
  #other: End | undefined
  /** The other end's write that waits for room here. */
  #roomMade: ((error?: Error | null) => void) | undefined

  constructor() {
    // Piece by piece: as a stream of bytes Node would copy those that wait together into new memory.
    super({ allowHalfOpen: true, readableObjectMode: true, readableHighWaterMark: MAX_WAITING })
    // Whoever waits on an end is told; an end that nobody looks at any more must not end the process.
    this.on('error', () => {})
  }

  connect(other: End): void {
    this.#other = other
  }

  override _read(): void {
    const roomMade = this.#roomMade
    this.#roomMade = undefined
    roomMade?.()
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void) {
    const other = this.#other
    if (other === undefined || other.destroyed) callback(closedByOther())
    else if (other.push(chunk)) callback()
    else other.#roomMade = callback
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#other?.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const other = this.#other
    const roomMade = this.#roomMade
    this.#roomMade = undefined
    callback(error)
    if (other !== undefined && !other.destroyed) {
      if (error !== null) other.destroy(error)
      else if (!this.writableFinished) other.destroy(closedByOther())
    }
    roomMade?.(closedByOther())
  }
}

function closedByOther(): SnapError {
  return new SnapError('E_CUT', 'the other end closed the connection', { retryable: true })
}
