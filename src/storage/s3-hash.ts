import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { sha256OfShared } from '../io/hash-worker.ts'

type Shared = Uint8Array<SharedArrayBuffer>

/**
 * The SHA-256 that the client of AWS signs requests with. That of a part, which is in memory that threads share, is taken on a
 * thread: on the one that sends them it was a third of what an upload costs.
 */
export class RequestHash {
  readonly #isKeyed: boolean
  readonly #hash: Hash | Hmac
  /** All that came so far, not hashed yet. */
  #whole: Shared | undefined
  #isEmpty = true

  /** @param key that of an HMAC */
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#isKeyed = key !== undefined
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', keyOf(key))
  }

  /** Adds bytes, which must not change before there is a digest. */
  update(bytes: Uint8Array): void {
    if (this.#isEmpty && !this.#isKeyed && isShared(bytes)) this.#whole = bytes
    else this.#begun().update(bytes)
    this.#isEmpty = false
  }

  /** @throws SnapError `E_FAILED` if the thread has died */
  async digest(): Promise<Uint8Array> {
    if (this.#whole === undefined) return this.#hash.digest()
    return Buffer.from(await sha256OfShared(this.#whole), 'hex')
  }

  #begun(): Hash | Hmac {
    if (this.#whole !== undefined) this.#hash.update(this.#whole)
    this.#whole = undefined
    return this.#hash
  }
}

function isShared(bytes: Uint8Array): bytes is Shared {
  return bytes.buffer instanceof SharedArrayBuffer
}

function keyOf(key: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof key === 'string') return key
  if (!ArrayBuffer.isView(key)) return new Uint8Array(key)
  return new Uint8Array(key.buffer, key.byteOffset, key.byteLength)
}
