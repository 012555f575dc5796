import { crc32 } from 'node:zlib'
import { SnapError } from '../errors.ts'
import { RECYCLED_SIZE, recycle, takeBuffer } from '../io/recycled.ts'

/** ID1 ID2 CM=deflate FLG=FNAME, see RFC 1952; a name that ends in 0 follows after six more bytes. */
const START = [0x1f, 0x8b, 8, 8]
const NAME_AT = 10
const MAX_NAME_SIZE = 256
/** What a stored block begins with: 0, its length, the complement of that, both little endian. */
const BLOCK_HEADER_SIZE = 5
/** The last block, empty and of fixed codes, then CRC-32 and size modulo 2^32, little endian. */
const LAST_BLOCK = [3, 0]
const END_SIZE = 10
const LONGEST_BLOCK = 65_535

/**
 * Returns where the blocks begin of an archive that was written without compression and begins with `chunk`; undefined for any
 * other. The first block has to be as long as one can be: deflate makes no such block out of what it tried to compress, as it
 * looks at no more than 32 KiB at a time, so that all blocks of one that begins like this are stored.
 */
export function startOfStored(chunk: Uint8Array): number | undefined {
  if (START.some((byte, i) => chunk[i] !== byte)) return undefined
  const end = chunk.subarray(0, NAME_AT + MAX_NAME_SIZE).indexOf(0, NAME_AT)
  const header = end < 0 ? [] : chunk.subarray(end + 1, end + 1 + BLOCK_HEADER_SIZE)
  const first = [0, 0xff, 0xff, 0, 0]
  return first.every((byte, i) => header[i] === byte) ? end + 1 : undefined
}

/**
 * Takes the stored blocks of an archive together, checks its CRC and size, and makes no garbage: inflating them would
 * cost a new buffer for every megabyte.
 */
export class StoredBlocks {
  readonly #name: string
  readonly #start: number
  readonly #out = takeBuffer()
  #filled = 0
  /** Of the block that is being read. */
  #left = 0
  readonly #header = Buffer.alloc(END_SIZE)
  #headerSize = 0
  #ended = false
  #crc = 0
  /** Bytes of the archive and of the tar so far. */
  #read = 0
  #tarSize = 0

  /**
   * @param name what is read, for messages
   * @param start see {@link startOfStored}
   */
  constructor(name: string, start: number) {
    this.#name = name
    this.#start = start
  }

  /** Gives what is in `chunk`: views, which change when the next is asked for. */
  *inflate(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    const begun = this.#read
    for (let at = begun === 0 ? this.#start : 0; at < chunk.length; ) {
      this.#read = begun + at
      if (this.#ended) throw this.#damaged(`data after the archive's end at ${this.#read}`)
      at += this.#left > 0 ? this.#copy(chunk, at) : this.#readHeader(chunk, at)
      if (this.#filled === RECYCLED_SIZE) yield this.#give()
    }
    this.#read = begun + chunk.length
    if (this.#filled > 0) yield this.#give()
  }

  /** Checks that all of the archive was there; gives nothing more. What was given may change from now on. */
  finish(): readonly Uint8Array[] {
    if (!this.#ended) {
      throw new SnapError('E_CUT', `${this.#name}: archive cut at ${this.#read} bytes`)
    }
    recycle(this.#out)
    return []
  }

  /** Whoever stopped early may still look at what was given: it is not used again. */
  close(): void {}

  /** Copies what is there of the block and has room; returns how much that is. */
  #copy(chunk: Uint8Array, at: number): number {
    const size = Math.min(this.#left, RECYCLED_SIZE - this.#filled)
    const part = chunk.subarray(at, at + size)
    this.#out.set(part, this.#filled)
    this.#filled += part.length
    this.#left -= part.length
    return part.length
  }

  #give(): Uint8Array {
    const bytes = this.#out.subarray(0, this.#filled)
    this.#crc = crc32(bytes, this.#crc)
    this.#tarSize += bytes.length
    this.#filled = 0
    return bytes
  }

  /** Reads a byte of what stands between blocks; returns 1. */
  #readHeader(chunk: Uint8Array, at: number): number {
    this.#header[this.#headerSize++] = chunk[at] ?? 0
    const isLast = this.#header[0] === LAST_BLOCK[0]
    if (!isLast && this.#header[0] !== 0) throw this.#damaged('a block that is not stored')
    if (isLast && this.#headerSize === END_SIZE) this.#end()
    if (!isLast && this.#headerSize === BLOCK_HEADER_SIZE) this.#begin()
    return 1
  }

  #begin(): void {
    const length = this.#header.readUInt16LE(1)
    if ((length ^ this.#header.readUInt16LE(3)) !== LONGEST_BLOCK) {
      throw this.#damaged('a block without a length')
    }
    this.#left = length
    this.#headerSize = 0
  }

  #end(): void {
    // The CRC is that of what was given.
    const bytes = this.#out.subarray(0, this.#filled)
    const crc = crc32(bytes, this.#crc)
    const size = (this.#tarSize + bytes.length) % 2 ** 32
    if (this.#header[1] !== LAST_BLOCK[1]) throw this.#damaged('a block that is not stored')
    if (crc !== this.#header.readUInt32LE(2)) throw this.#damaged('incorrect data check')
    if (size !== this.#header.readUInt32LE(6)) throw this.#damaged('incorrect length check')
    this.#ended = true
  }

  #damaged(why: string): SnapError {
    const message = `${this.#name}: archive damaged after ${this.#read} of its bytes: ${why}`
    return new SnapError('E_INTEGRITY', message)
  }
}
