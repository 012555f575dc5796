import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/**
 * The TCP connection that TLS runs on, whose end counts only behind the record in which TLS itself says that it ends. By
 * itself Node passes on any end: one that somebody on the way has forged, and a reset that came together with data. After
 * an upload, an end is the one sign of success there is.
 */
export class TlsWire extends Duplex {
  readonly #socket: Socket
  readonly #records = new RecordWatch()

  /** @param socket connected, and not read from yet */
  constructor(socket: Socket) {
    super({ allowHalfOpen: true })
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#records.pass(chunk)
      if (!this.push(chunk)) socket.pause()
    })
    socket.once('end', () => {
      if (this.#records.endSaid) this.push(null)
      else this.destroy(resetError())
    })
    socket.on('error', (error) => this.destroy(error))
    socket.once('close', () => {
      if (!socket.readableEnded) this.destroy()
    })
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void) {
    this.#socket.write(chunk, callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.end(callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy()
    callback(error)
  }
}

function resetError(): Error {
  return Object.assign(new Error('ended without the end of TLS'), { code: 'ECONNRESET' })
}

//   0       1          3         5
//   | type  | version  | length  | length bytes ...
const HEADER_SIZE = 5
const ALERT = 21
const APPLICATION_DATA = 23
/** An alert of TLS 1.3, disguised as data: its two bytes, its true type, and the tag. */
const HIDDEN_ALERT_SIZE = 2 + 1 + 16

/** Follows the records of TLS in a stream, encrypted as they are. */
export class RecordWatch {
  /** The header that is being read, and how much of it is there. */
  readonly #header = new Uint8Array(HEADER_SIZE)
  #got = 0
  /** Bytes of the record that are still to come. */
  #left = 0

  /** Takes the next bytes. */
  pass(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#got === HEADER_SIZE && this.#left === 0) this.#got = 0
      const wanted = this.#got < HEADER_SIZE ? HEADER_SIZE - this.#got : this.#left
      const part = chunk.subarray(at, at + wanted)
      at += part.length
      if (this.#got === HEADER_SIZE) {
        this.#left -= part.length
        continue
      }
      this.#header.set(part, this.#got)
      this.#got += part.length
      if (this.#got === HEADER_SIZE) this.#left = this.#length
    }
  }

  /**
   * Whether the last record is whole and an alert. All alerts but the end of TLS are errors, which TLS reports before. Data
   * of two bytes look the same; no answer of the protocol ends in a piece of that size.
   */
  get endSaid(): boolean {
    if (this.#got < HEADER_SIZE || this.#left > 0) return false
    const [type] = this.#header
    return type === ALERT || (type === APPLICATION_DATA && this.#length === HIDDEN_ALERT_SIZE)
  }

  get #length(): number {
    const [, , , high = 0, low = 0] = this.#header
    return high * 256 + low
  }
}
