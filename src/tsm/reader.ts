import { crc32 } from 'node:zlib'
import { recode, SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { sortBlock } from './arrange.ts'
import { decodeBlock } from './block.ts'
import {
  CRC_SIZE,
  fieldTypeCode,
  findFieldType,
  TSM_FOOTER_SIZE,
  TSM_HEADER_SIZE,
  TSM_MAGIC,
  TSM_VERSION,
} from './format.ts'
import type { IndexEntry, IndexSection, TsmKey } from './index-section.ts'
import { readIndex, readU16 } from './index-section.ts'
import { ReadAhead } from './read-ahead.ts'
import { type Block, rangeOf } from './values.ts'

export type { IndexEntry, TsmKey } from './index-section.ts'

const READ_AHEAD = 1024 * 1024

/** A block as it is stored. */
export interface StoredBlock extends TsmKey {
  readonly entry: IndexEntry
  /** The block without its CRC, which was right: a view, to be copied if it is kept. */
  readonly bytes: Uint8Array
}

/** An open TSM file. It holds no more of the file than a window of the index and one of the blocks. */
export class TsmFile {
  readonly source: RandomAccess
  /** Where its index is. */
  readonly section: IndexSection
  #blockCrc = 0
  readonly #readAhead: number
  readonly #blocks: ReadAhead

  /** Use {@link openTsm}. */
  constructor(section: IndexSection, readAhead: number) {
    this.source = section.source
    this.section = section
    this.#readAhead = readAhead
    this.#blocks = new ReadAhead(section.source, section.start, readAhead)
  }

  /** CRC-32 of the block that was read last: it was right. */
  get blockCrc(): number {
    return this.#blockCrc
  }

  /**
   * Reads the keys in ascending order, with the places of their blocks.
   * @throws SnapError `E_FORMAT` if the index is damaged
   */
  keys(): AsyncGenerator<TsmKey> {
    return readIndex(this.section, this.#readAhead)
  }

  /**
   * Reads a block, without its CRC: a view, to be copied if it is kept. Blocks that follow each other in the file are
   * read in large pieces.
   * @throws SnapError `E_INTEGRITY` if its CRC is wrong, `E_FORMAT` if its type is not its key's
   */
  async readBlock(key: TsmKey, entry: IndexEntry): Promise<Uint8Array> {
    return await this.takeBlock(key, entry)
  }

  /** As {@link readBlock}, but without a promise where the bytes are at hand: they are for thousands of blocks in a row. */
  takeBlock(key: TsmKey, entry: IndexEntry): Uint8Array | Promise<Uint8Array> {
    const { offset, size } = entry
    const stored = this.#blocks.peek(offset, size)
    if (stored !== undefined) return this.#check(key, entry, stored)
    return this.#blocks.fetch(offset, size).then((bytes) => this.#check(key, entry, bytes))
  }

  /** Returns a stored block without its CRC if that is right, and its type that of its key. */
  #check({ key, type }: TsmKey, { offset }: IndexEntry, stored: Uint8Array): Uint8Array {
    const bytes = stored.subarray(CRC_SIZE)
    const expected = readU32(stored)
    const got = crc32(bytes)
    if (got !== expected) {
      const sums = `expected ${expected.toString(16)}, got ${got.toString(16)}`
      throw new SnapError('E_INTEGRITY', `${this.#where(key, offset)}: wrong CRC, ${sums}`)
    }
    this.#blockCrc = got
    if (bytes[0] !== fieldTypeCode(type)) {
      const found = findFieldType(bytes[0]) ?? `block type ${bytes[0]}`
      throw new SnapError('E_FORMAT', `${this.#where(key, offset)}: ${found}, expected ${type}`)
    }
    return bytes
  }

  /**
   * Reads and decodes a block; points that are not in order are put in order.
   * @throws SnapError as {@link readBlock}, and `E_FORMAT` if it does not decode or has other times than `entry` says
   */
  async readPoints(key: TsmKey, entry: IndexEntry): Promise<Block> {
    return this.decodePoints(key, entry, await this.readBlock(key, entry))
  }

  /**
   * Decodes a block that was read; points that are not in order are put in order.
   * @throws SnapError `E_FORMAT` if it does not decode or has other times than `entry` says
   */
  decodePoints(key: TsmKey, entry: IndexEntry, bytes: Uint8Array): Block {
    const block = sortBlock(this.#decode(key, entry, bytes))
    const { minTime, maxTime } = rangeOf(block)
    if (minTime !== entry.minTime || maxTime !== entry.maxTime) {
      const expected = `expected ${entry.minTime} to ${entry.maxTime}`
      const where = this.#where(key.key, entry.offset)
      throw new SnapError('E_FORMAT', `${where}: times ${minTime} to ${maxTime}, ${expected}`)
    }
    return block
  }

  #decode({ key }: TsmKey, { offset }: IndexEntry, bytes: Uint8Array): Block {
    try {
      return decodeBlock(bytes)
    } catch (error) {
      // named here, since a name for every block that is right takes longer than the block
      throw error instanceof SnapError
        ? recode(error, error.code, `${this.#where(key, offset)}: `)
        : error
    }
  }

  /**
   * Reads every block in the order of the index, which is that of the file in every file that influxd writes.
   * @throws SnapError as {@link keys} and {@link readBlock}
   */
  async *blocks(): AsyncGenerator<StoredBlock> {
    for await (const key of this.keys()) {
      for (const entry of key.entries) {
        yield { ...key, entry, bytes: await this.readBlock(key, entry) }
      }
    }
  }

  /**
   * Returns a key with its blocks, or undefined if the file has no such key. Reads the index up to it.
   * @throws SnapError as {@link keys}
   */
  async find(key: Uint8Array): Promise<TsmKey | undefined> {
    for await (const candidate of this.keys()) {
      const order = Buffer.compare(candidate.key, key)
      if (order >= 0) return order === 0 ? candidate : undefined
    }
    return undefined
  }

  /** Releases the source. */
  close(): Promise<void> {
    return this.source.close()
  }

  /** Lets others use the memory that it reads into: no block that was read may be looked at any more. */
  release(): void {
    this.#blocks.release()
  }

  #where(key: Uint8Array, offset: number): string {
    return `${this.source.name}: block at offset ${offset} of ${Buffer.from(key).toString()}`
  }
}

/** Without a view over them: there are thousands of blocks in some megabytes. */
function readU32(bytes: Uint8Array): number {
  return readU16(bytes, 0) * 2 ** 16 + readU16(bytes, 2)
}

/**
 * Opens a TSM file, see docs/formats/tsm.md:
 *
 *     | magic u32 | version u8 | blocks: CRC32 u32, block ... | index ... | offset of the index u64 |
 *
 * Closing the file closes `source`.
 * @param readAhead bytes of blocks that are read at once, and of the index at the most
 * @throws SnapError `E_FORMAT` if it is no TSM file of version 1, or its index is not inside it
 */
export async function openTsm(source: RandomAccess, readAhead = READ_AHEAD): Promise<TsmFile> {
  if (source.size < TSM_HEADER_SIZE + TSM_FOOTER_SIZE) {
    throw new SnapError('E_FORMAT', `${source.name}: ${source.size} bytes are no TSM file`)
  }
  const header = Buffer.from(await source.read(0, TSM_HEADER_SIZE))
  if (header.readUInt32BE() !== TSM_MAGIC || header[4] !== TSM_VERSION) {
    const got = header.toString('hex')
    throw new SnapError('E_FORMAT', `${source.name}: begins with ${got}, expected 16d116d101`)
  }
  const end = source.size - TSM_FOOTER_SIZE
  const footer = Buffer.from(await source.read(end, TSM_FOOTER_SIZE))
  const start = Number(footer.readBigUInt64BE())
  if (start <= TSM_HEADER_SIZE || start >= end) {
    const message = `${source.name}: index at offset ${start}, expected inside its ${source.size} bytes`
    throw new SnapError('E_FORMAT', message)
  }
  return new TsmFile({ source, start, end }, readAhead)
}
