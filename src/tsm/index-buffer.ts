import { SnapError } from '../errors.ts'
import { Chunks } from './chunks.ts'
import {
  type FieldType,
  fieldTypeCode,
  INDEX_ENTRY_SIZE,
  MAX_INDEX_ENTRIES,
  MAX_KEY_LENGTH,
} from './format.ts'
import type { IndexEntry } from './index-section.ts'

// key length, block type and count of entries
const KEY_OVERHEAD = 5

/**
 * Builds the index of a file being written. Entries are encoded as they come, so its memory is the size of the index,
 * 28 bytes a block, and per key its length and 5 bytes, less what is taken of it.
 */
export class IndexBuffer {
  readonly #encoded = new Chunks()
  #entries = Buffer.alloc(INDEX_ENTRY_SIZE * 8)
  #key: Uint8Array | undefined
  #type: FieldType = 'float'
  #lastTime = 0n
  #ordered = true
  /** Keys added. */
  keyCount = 0
  /** Blocks added. */
  blockCount = 0
  /** Blocks of the key added last. */
  keyBlocks = 0
  /** Bytes the index has if it ends here. */
  size = 0

  /**
   * Adds a block. Keys must ascend; the blocks of a key are put in the order of their first times.
   * @throws SnapError `E_FAILED` if keys do not ascend, the key is too long or has too many blocks, or changes its type
   */
  add(key: Uint8Array, type: FieldType, entry: IndexEntry): void {
    const order = this.#key === undefined ? -1 : Buffer.compare(this.#key, key)
    if (order > 0) throw refuse(key, 'is before the key before it')
    if (order < 0) this.#begin(key, type)
    else if (type !== this.#type) throw refuse(key, `is ${this.#type} and ${type}`)
    else if (this.keyBlocks === MAX_INDEX_ENTRIES) {
      throw refuse(key, `has more than ${MAX_INDEX_ENTRIES} blocks`)
    }
    this.#append(entry)
    if (this.keyBlocks > 0 && entry.minTime < this.#lastTime) this.#ordered = false
    this.#lastTime = entry.minTime
    this.blockCount++
    this.keyBlocks++
    this.size += INDEX_ENTRY_SIZE
  }

  #append({ minTime, maxTime, offset, size }: IndexEntry): void {
    const at = this.keyBlocks * INDEX_ENTRY_SIZE
    if (at === this.#entries.length) this.#entries = Buffer.concat([this.#entries, this.#entries])
    // a view each time: what Buffer has for this takes longer by far
    const view = new DataView(this.#entries.buffer, this.#entries.byteOffset + at)
    view.setBigInt64(0, minTime)
    view.setBigInt64(8, maxTime)
    view.setUint32(16, Math.floor(offset / 2 ** 32))
    view.setUint32(20, offset % 2 ** 32)
    view.setUint32(24, size)
  }

  #begin(key: Uint8Array, type: FieldType): void {
    if (key.length === 0 || key.length > MAX_KEY_LENGTH) {
      throw refuse(key, `has ${key.length} bytes, expected 1 to ${MAX_KEY_LENGTH}`)
    }
    this.#flushKey()
    this.#key = key.slice()
    this.#type = type
    this.#ordered = true
    this.keyCount++
    this.keyBlocks = 0
    this.size += KEY_OVERHEAD + key.length
  }

  #flushKey(): void {
    if (this.#key === undefined) return
    const { length } = this.#key
    this.#encoded.append(Uint8Array.of(length >> 8, length))
    this.#encoded.append(this.#key)
    const code = fieldTypeCode(this.#type)
    this.#encoded.append(Uint8Array.of(code, this.keyBlocks >> 8, this.keyBlocks))
    const entries = this.#entries.subarray(0, this.keyBlocks * INDEX_ENTRY_SIZE)
    this.#encoded.append(this.#ordered ? entries : sortEntries(entries))
  }

  /** Gives away large pieces of the beginning, if there are some. */
  takeFull(): readonly Uint8Array[] {
    return this.#encoded.takeFull()
  }

  /** Returns the encoded index, or what is left of it, in pieces; nothing can be added after. */
  finish(): readonly Uint8Array[] {
    this.#flushKey()
    return this.#encoded.takeAll()
  }
}

// Returns encoded entries in the order of their first times.
function sortEntries(entries: Buffer): Buffer {
  const sorted: Buffer[] = []
  for (let at = 0; at < entries.length; at += INDEX_ENTRY_SIZE) {
    sorted.push(entries.subarray(at, at + INDEX_ENTRY_SIZE))
  }
  sorted.sort((a, b) => Number(a.readBigInt64BE() - b.readBigInt64BE()))
  return Buffer.concat(sorted)
}

function refuse(key: Uint8Array, why: string): SnapError {
  return new SnapError('E_FAILED', `TSM writer: key ${Buffer.from(key).toString()} ${why}`)
}
