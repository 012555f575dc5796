import { crc32 } from 'node:zlib'
import { readAll, Spool } from '../io/spool.ts'
import { encodeBlock } from './block.ts'
import { Chunks } from './chunks.ts'
import {
  CRC_SIZE,
  fieldTypeOf,
  MAX_INDEX_ENTRIES,
  MAX_POINTS_PER_BLOCK,
  MAX_TSM_FILE_SIZE,
  TSM_FOOTER_SIZE,
  TSM_HEADER_SIZE,
  TSM_MAGIC,
  TSM_VERSION,
} from './format.ts'
import { IndexBuffer } from './index-buffer.ts'
import { type Block, MAX_TIME, MIN_TIME, rangeOf, sliceBlock, type TimeRange } from './values.ts'

/** Takes the bytes of a file, in order; a chunk is its own to keep, or to recycle. */
export type Sink = (chunk: Uint8Array) => Promise<void>

/** A file that was written. */
export interface WrittenTsm extends TimeRange {
  /** Bytes. 0 if no block was written: then the sink got nothing, since influxd refuses an empty file. */
  readonly size: number
  readonly keys: number
  readonly blocks: number
}

/** How a TSM file is written. */
export interface TsmWriterOptions {
  /** Bytes after which the file is full; influxd's unless a test says otherwise. */
  readonly limit?: number | undefined
  /** Where an index of some megabytes waits until the blocks have ended; without it, in memory. */
  readonly tempDir?: string | undefined
}

/** Bytes of an index that are held in memory: it may have half a gigabyte, of as many series as fit into a file. */
const INDEX_MEMORY = 4 * 1024 * 1024

/**
 * Writes one TSM file to a sink: keys in ascending order, each with its blocks. Holds some megabytes of the
 * index (see {@link IndexBuffer}) and less than a megabyte of blocks. One that is not finished is to be closed.
 */
export class TsmWriter {
  readonly #sink: Sink
  readonly #limit: number
  readonly #tempDir: string | undefined
  readonly #index = new IndexBuffer()
  readonly #chunks = new Chunks()
  /** The beginning of the index. */
  #spooled: Spool | undefined
  #offset = 0
  #minTime = MAX_TIME
  #maxTime = MIN_TIME

  constructor(sink: Sink, { limit = MAX_TSM_FILE_SIZE, tempDir }: TsmWriterOptions = {}) {
    this.#sink = sink
    this.#limit = limit
    this.#tempDir = tempDir
  }

  /** True if influxd would close the file here and go on in the next one. */
  get full(): boolean {
    return (
      this.#index.keyBlocks >= MAX_INDEX_ENTRIES || this.#offset + this.#index.size > this.#limit
    )
  }

  /**
   * Writes an encoded block as it is.
   * @param range the first and last time in the block
   * @param bytes the block without a CRC; copied
   * @throws SnapError `E_FAILED` if keys are out of order, a limit is passed, or the key had another type; `E_FORMAT`
   * if `bytes` are no block
   */
  async writeBlock(key: Uint8Array, range: TimeRange, bytes: Uint8Array): Promise<void> {
    this.addBlock(key, range, bytes)
    if (this.mustFlush) await this.flush()
  }

  /** As {@link writeBlock}, without a promise for each of thousands of blocks. */
  addBlock(key: Uint8Array, range: TimeRange, bytes: Uint8Array): void {
    const size = CRC_SIZE + bytes.length
    const offset = this.#offset === 0 ? TSM_HEADER_SIZE : this.#offset
    const type = fieldTypeOf(bytes[0], 'TSM writer')
    this.#index.add(key, type, { minTime: range.minTime, maxTime: range.maxTime, offset, size })
    if (this.#offset === 0) {
      this.#chunks.appendUint32(TSM_MAGIC)
      this.#chunks.append(Uint8Array.of(TSM_VERSION))
    }
    this.#chunks.appendUint32(crc32(bytes))
    this.#chunks.append(bytes)
    this.#offset = offset + size
    if (range.minTime < this.#minTime) this.#minTime = range.minTime
    if (range.maxTime > this.#maxTime) this.#maxTime = range.maxTime
  }

  /** True if {@link flush} is to be awaited before the next block. */
  get mustFlush(): boolean {
    return this.#chunks.hasFull || this.#overflow !== undefined
  }

  /** Hands on what is held of blocks, and of an index that is large. */
  async flush(): Promise<void> {
    for (const chunk of this.#chunks.takeFull()) await this.#sink(chunk)
    const directory = this.#overflow
    if (directory !== undefined) await this.#spoolIndex(directory)
  }

  /** Where the index has to go on; undefined while there is memory for it. */
  get #overflow(): string | undefined {
    const held = this.#index.size - (this.#spooled?.size ?? 0)
    return held > INDEX_MEMORY ? this.#tempDir : undefined
  }

  /**
   * Encodes and writes points, at most 1,000 in a block.
   * @throws SnapError `E_FAILED` as {@link writeBlock} and {@link encodeBlock}
   */
  async writeValues(key: Uint8Array, block: Block): Promise<void> {
    for (const part of splitBlock(block))
      await this.writeBlock(key, rangeOf(part), encodeBlock(part))
  }

  /** Writes the index and the footer. */
  async finish(): Promise<WrittenTsm> {
    const { keyCount: keys, blockCount: blocks, size: indexSize } = this.#index
    if (keys === 0) return { size: 0, keys, blocks, minTime: 0n, maxTime: 0n }
    for await (const chunk of this.#indexBytes()) {
      this.#chunks.append(chunk)
      for (const full of this.#chunks.takeFull()) await this.#sink(full)
    }
    const footer = Buffer.alloc(TSM_FOOTER_SIZE)
    footer.writeBigUInt64BE(BigInt(this.#offset))
    this.#chunks.append(footer)
    for (const chunk of this.#chunks.takeAll()) await this.#sink(chunk)
    await this.close()
    const size = this.#offset + indexSize + TSM_FOOTER_SIZE
    return { size, keys, blocks, minTime: this.#minTime, maxTime: this.#maxTime }
  }

  /** Releases the temporary file. May be called twice, and after the end. */
  async close(): Promise<void> {
    await this.#spooled?.close()
  }

  async #spoolIndex(tempDir: string): Promise<void> {
    this.#spooled ??= new Spool({ name: 'TSM index', tempDir, memoryLimit: 0 })
    for (const chunk of this.#index.takeFull()) await this.#spooled.write(chunk)
  }

  async *#indexBytes(): AsyncGenerator<Uint8Array> {
    const rest = this.#index.finish()
    if (this.#spooled !== undefined) yield* readAll(this.#spooled.access())
    yield* rest
  }
}

/** Returns the points of `block` in pieces that influxd would put in one block each, views over it. */
export function* splitBlock(block: Block): Generator<Block> {
  for (let at = 0; at < block.times.length; at += MAX_POINTS_PER_BLOCK) {
    yield sliceBlock(block, at, Math.min(at + MAX_POINTS_PER_BLOCK, block.times.length))
  }
}
