import { takeBuffer } from '../io/recycled.ts'

/** Bytes that are appended piece by piece and handed on in large chunks, which may be recycled. */
export class Chunks {
  #full: Uint8Array[] = []
  #current: Uint8Array = new Uint8Array(0)
  #used = 0
  readonly #uint32 = new Uint8Array(4)

  /** Appends a copy of `bytes`. */
  append(bytes: Uint8Array): void {
    const used = this.#used + bytes.length
    if (used <= this.#current.length) {
      this.#current.set(bytes, this.#used)
      this.#used = used
    } else this.#appendParts(bytes)
  }

  /** Appends four bytes, big-endian. */
  appendUint32(value: number): void {
    this.#uint32[0] = value >>> 24
    this.#uint32[1] = value >>> 16
    this.#uint32[2] = value >>> 8
    this.#uint32[3] = value
    this.append(this.#uint32)
  }

  #appendParts(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === this.#current.length) this.#next()
      const part = bytes.subarray(at, at + this.#current.length - this.#used)
      this.#current.set(part, this.#used)
      this.#used += part.length
      at += part.length
    }
  }

  #next(): void {
    if (this.#used > 0) this.#full.push(this.#current)
    this.#current = takeBuffer()
    this.#used = 0
  }

  get hasFull(): boolean {
    return this.#full.length > 0
  }

  /** Gives away the chunks that are full. */
  takeFull(): readonly Uint8Array[] {
    const full = this.#full
    if (full.length > 0) this.#full = []
    return full
  }

  /** Gives away everything. */
  takeAll(): readonly Uint8Array[] {
    const all = [...this.takeFull()]
    if (this.#used > 0) all.push(this.#current.subarray(0, this.#used))
    this.#current = new Uint8Array(0)
    this.#used = 0
    return all
  }
}
