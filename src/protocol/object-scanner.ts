const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d

/**
 * Finds the end of a JSON object that arrives in pieces and is followed by other bytes. It counts braces outside of
 * strings and checks nothing else: what it delimits is still to be decoded.
 */
export class ObjectScanner {
  #depth = 0
  #inString = false
  #escaped = false

  /** Takes the next bytes, which must begin the object or go on where the last ones ended. True if they close it. */
  closes(bytes: Uint8Array): boolean {
    for (const byte of bytes) {
      if (this.#inString) this.#insideString(byte)
      else if (byte === QUOTE) this.#inString = true
      else if (byte === OPEN) this.#depth++
      else if (byte === CLOSE) this.#depth--
    }
    return this.#depth <= 0
  }

  #insideString(byte: number): void {
    if (this.#escaped) this.#escaped = false
    else if (byte === BACKSLASH) this.#escaped = true
    else if (byte === QUOTE) this.#inString = false
  }
}
