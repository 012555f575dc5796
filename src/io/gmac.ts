import { type CipherGCM, createCipheriv } from 'node:crypto'

/** Key and nonce are no secret, and always the same: what is wanted is a sum that everybody gets. */
const KEY = Buffer.alloc(16)
const NONCE = Buffer.alloc(12)

/**
 * A sum of 128 bits over bytes that come bit by bit: GMAC (NIST SP 800-38D) with AES-128, key and nonce zero. It tells contents
 * apart that differ by accident, some six times as fast as a SHA-256, so it is taken where the bytes are and not on a thread.
 * Who wants to can make two contents with the same sum: where that matters there is `Sha256`.
 */
export class Gmac {
  readonly #cipher: CipherGCM = createCipheriv('aes-128-gcm', KEY, NONCE)

  /** Adds bytes, which may change afterwards. */
  update(bytes: Uint8Array): void {
    // No bytes at all would be taken for the end.
    if (bytes.length > 0) this.#cipher.setAAD(bytes)
  }

  /** Returns the sum, 32 lower-case hexadecimal digits. Nothing can be added after. */
  digest(): string {
    this.#cipher.final()
    return this.#cipher.getAuthTag().toString('hex')
  }
}
