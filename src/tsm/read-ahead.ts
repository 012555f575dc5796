import { BufferPool } from '../io/buffer-pool.ts'
import type { RandomAccess } from '../io/random-access.ts'

/** Memory of pieces of the sizes that are usual for indexes and for blocks. */
const POOLS = [256 * 1024, 1024 * 1024].map((size) => new BufferPool(size, 2))

/** Reads a source in large pieces on behalf of one who reads small ones, mostly in order. */
export class ReadAhead {
  readonly #source: RandomAccess
  readonly #end: number
  readonly #size: number
  #start = 0
  #window: Uint8Array = new Uint8Array(0)
  /** Memory for one piece after the other, of a source that fills it. */
  #room: Buffer = Buffer.alloc(0)

  /**
   * @param end nothing at or after this offset is read
   * @param size bytes read at once
   */
  constructor(source: RandomAccess, end: number, size: number) {
    this.#source = source
    this.#end = end
    this.#size = size
  }

  /**
   * Returns `length` bytes at `offset`, if the last piece that was read holds them: a view, which stays as it is
   * until the next is read. Returns undefined if they must be {@link fetch}ed.
   */
  peek(offset: number, length: number): Uint8Array | undefined {
    const from = offset - this.#start
    if (from < 0 || from + length > this.#window.length) return undefined
    return this.#window.subarray(from, from + length)
  }

  /**
   * Reads the piece that begins at `offset` and returns its first `length` bytes.
   * @throws SnapError `E_FORMAT` if they are not inside the source
   */
  async fetch(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(length, Math.min(this.#size, this.#end - offset))
    this.#window = new Uint8Array(0)
    const { buffer, byteOffset, byteLength } = await this.#read(offset, wanted)
    // no Buffer: to take a part of one costs three times as much
    this.#window = new Uint8Array(buffer, byteOffset, byteLength)
    this.#start = offset
    return this.#window.subarray(0, length)
  }

  /** Lets others use the memory of the last piece: no view of it may be looked at any more. */
  release(): void {
    const room = this.#room
    this.#room = Buffer.alloc(0)
    this.#window = this.#room
    POOLS.find(({ size }) => size === room.length)?.give(room)
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const source = this.#source
    if (source.readInto === undefined) return await source.read(offset, length)
    if (this.#room.length < length) this.#room = roomFor(length)
    const bytes = this.#room.subarray(0, length)
    await source.readInto(bytes, offset)
    return bytes
  }
}

function roomFor(length: number): Buffer {
  // Who asks for little may have many open.
  const pool = POOLS.find(({ size }) => length <= size && 2 * length > size)
  return pool?.take() ?? Buffer.allocUnsafeSlow(length)
}
