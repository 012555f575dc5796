const ZERO = 0x30
const MINUS = 0x2d
const BILLION = 1e9
/** The most that one number takes. */
const MAX_NUMBER_LENGTH = 32

/** The numbers 000 to 999 as text, three bytes each. */
const TRIPLES = Uint8Array.from(
  Array.from({ length: 1000 }, (_, i) => i.toString().padStart(3, '0')).join(''),
  (digit) => ZERO + Number(digit),
)

/** Text that is put together in bytes, for lines by the million. */
export class TextBuffer {
  readonly #capacity: number
  #bytes: Uint8Array
  #length = 0

  /** @param capacity bytes to begin with; it grows as needed */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#bytes = new Uint8Array(capacity)
  }

  /** Bytes put in since the last `take`. */
  get length(): number {
    return this.#length
  }

  /** Returns what was put in, which belongs to the caller, and begins anew. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length)
    // What is in it is never shown: only what was put in is.
    this.#bytes = Buffer.allocUnsafeSlow(this.#capacity)
    this.#length = 0
    return bytes
  }

  /** Puts bytes in as they are. */
  put(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Puts one byte in. */
  putByte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = byte
  }

  /** Puts a text of ASCII in. */
  putAscii(text: string): void {
    this.#reserve(text.length)
    for (let i = 0; i < text.length; i += 1) this.#bytes[this.#length++] = text.charCodeAt(i)
  }

  /**
   * Puts bytes in, with `escapeByte` before each that is in `escaped`.
   * @param escaped an element for each byte value, 1 if it is to be escaped
   */
  putEscaped(bytes: Uint8Array, escapeByte: number, escaped: Uint8Array): void {
    this.#reserve(2 * bytes.length)
    for (const byte of bytes) {
      if (escaped[byte] === 1) this.#bytes[this.#length++] = escapeByte
      this.#bytes[this.#length++] = byte
    }
  }

  /** Puts a float in as its shortest text that reads back as the same float. */
  putFloat(value: number): void {
    // Most counters and gauges are small whole numbers.
    if ((value | 0) === value && !Object.is(value, -0)) this.putInt64(value < 0 ? -1 : 0, value)
    else this.putAscii(Object.is(value, -0) ? '-0' : String(value))
  }

  /** Puts an int64 in, given as its two 32-bit words. */
  putInt64(high: number, low: number): void {
    if (high >= 0) {
      this.putUint64(high, low)
      return
    }
    this.putByte(MINUS)
    const negated = -low | 0
    this.putUint64(negated === 0 ? -high | 0 : ~high, negated)
  }

  /** Puts a uint64 in, given as its two 32-bit words. */
  putUint64(high: number, low: number): void {
    this.#reserve(MAX_NUMBER_LENGTH)
    // Long division by 10^9 in steps that a double holds exactly.
    const first = high >>> 0
    const q2 = Math.trunc(first / BILLION)
    const second = (first - q2 * BILLION) * 65_536 + (low >>> 16)
    const q1 = Math.trunc(second / BILLION)
    const third = (second - q1 * BILLION) * 65_536 + (low & 0xffff)
    const q0 = Math.trunc(third / BILLION)
    const last = third - q0 * BILLION
    const rest = q2 * 2 ** 32 + q1 * 65_536 + q0
    if (rest === 0) {
      this.#putDigits(last)
      return
    }
    const top = Math.trunc(rest / BILLION)
    if (top === 0) {
      this.#putDigits(rest)
    } else {
      this.#putDigits(top)
      this.#putNineDigits(rest - top * BILLION)
    }
    this.#putNineDigits(last)
  }

  /** Puts a number below 10^9 in, without leading zeros. */
  #putDigits(value: number): void {
    let digits = 1
    for (let limit = 10; value >= limit; limit *= 10) digits += 1
    let rest = value
    for (let at = this.#length + digits - 1; at >= this.#length; at -= 1) {
      const next = Math.trunc(rest / 10)
      this.#bytes[at] = ZERO + rest - 10 * next
      rest = next
    }
    this.#length += digits
  }

  #putNineDigits(value: number): void {
    const high = Math.trunc(value / 1e6)
    const rest = value - high * 1e6
    const middle = Math.trunc(rest / 1000)
    this.#putTriple(high)
    this.#putTriple(middle)
    this.#putTriple(rest - middle * 1000)
  }

  #putTriple(value: number): void {
    const at = 3 * value
    this.#bytes[this.#length++] = TRIPLES[at] ?? ZERO
    this.#bytes[this.#length++] = TRIPLES[at + 1] ?? ZERO
    this.#bytes[this.#length++] = TRIPLES[at + 2] ?? ZERO
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + length))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}
