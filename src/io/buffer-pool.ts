/**
 * Buffers of one size that are used again: the memory of a stream of gigabytes is that of the few it has in work. What is not
 * given back is collected as any other.
 */
export class BufferPool {
  readonly size: number
  readonly #most: number
  readonly #allocate: (size: number) => Buffer
  readonly #free: Buffer[] = []

  /**
   * @param size bytes of each
   * @param most buffers that are kept for later
   * @param allocate makes one. Default: memory that nobody has cleared
   */
  constructor(
    size: number,
    most: number,
    allocate: (size: number) => Buffer = Buffer.allocUnsafeSlow,
  ) {
    this.size = size
    this.#most = most
    this.#allocate = allocate
  }

  /** Returns a buffer with anything in it. */
  take(): Buffer {
    return this.#free.pop() ?? this.#allocate(this.size)
  }

  /** Takes back a buffer, or a part of it, that nobody reads or writes any more. To be called once. */
  give({ buffer }: Buffer): void {
    if (this.#free.length < this.#most) this.#free.push(Buffer.from(buffer))
  }
}

/**
 * A pool of memory that threads share. V8 does not count that, so what is let go may be left for gigabytes before it is collected:
 * all that was ever in use at one time is kept.
 */
export function sharedPool(size: number): BufferPool {
  return new BufferPool(size, Number.POSITIVE_INFINITY, () =>
    Buffer.from(new SharedArrayBuffer(size)),
  )
}
