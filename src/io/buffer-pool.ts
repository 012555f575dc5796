/**
 * Buffers of one size that are used again: the memory of a stream of gigabytes is that of the few it has in work. What is not
 * given back is collected as any other.
 */
export class BufferPool {
  readonly size: number
  readonly #most: number
  readonly #free: Buffer[] = []

  /**
   * @param size bytes of each
   * @param most buffers that are kept for later
   */
  constructor(size: number, most: number) {
    this.size = size
    this.#most = most
  }

  /** Returns a buffer with anything in it. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.size)
  }

  /** Takes back a buffer, or a part of it, that nobody reads or writes any more. To be called once. */
  give({ buffer }: Buffer): void {
    if (this.#free.length < this.#most) this.#free.push(Buffer.from(buffer))
  }
}
