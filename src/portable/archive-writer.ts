import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { constants, deflateRaw } from 'node:zlib'
import pLimit from 'p-limit'
import { SnapError } from '../errors.ts'
import { combineCrc32 } from '../io/crc32.ts'
import {
  type Block,
  type BlockKind,
  blocksOf,
  MEMBER,
  PLAIN,
  STORED,
  storeBlock,
} from './archive-blocks.ts'

/** Makes a whole gzip member (RFC 1952) of some bytes. */
export type CompressMember = (bytes: Uint8Array) => Promise<Uint8Array>

/** Where a block starts in the tar, and where its compressed form starts in the archive, in bytes. */
export type SeekPoint = readonly [tarOffset: number, gzOffset: number]

/** What it takes to read an archive from the middle. */
export interface ArchiveIndex {
  /** Bytes of the tar. */
  readonly tarSize: number
  /** Bytes of the archive. */
  readonly gzSize: number
  /** One for each block, in order; none for an empty tar. */
  readonly seekPoints: readonly SeekPoint[]
  /** True if each block is a gzip member of its own, false if all are in one. Default false. */
  readonly members?: boolean | undefined
  /** CRC-32 of the bytes of each block in the tar; not there of archives of which only the places are known. */
  readonly blockCrcs?: readonly number[] | undefined
}

/** What is known of an archive once it is written. */
export interface ArchiveSummary extends ArchiveIndex {
  /** SHA-256 of the archive, hexadecimal. */
  readonly sha256: string
}

/** How {@link ArchiveWriter} writes. */
export interface WriteArchiveOptions {
  /** The name inside, as influxd has it: `<base>.s<shard>.tar`. */
  readonly fileName: string
  /** `none` is gzip too, in stored blocks. Default `gzip`. */
  readonly compression?: 'gzip' | 'none' | undefined
  /** 1 (fastest) to 9 (smallest). Default 1, which costs a third of the time of 6 and 3 % of the tar's size more. */
  readonly level?: number | undefined
  /** Compresses each block into a member of its own, instead of `compression` and `level`. */
  readonly compressMember?: CompressMember | undefined
  /** Blocks held at the same time, being compressed or waiting for their turn. Default 4, of members 2. */
  readonly inFlight?: number | undefined
}

const deflate = promisify(deflateRaw)
/**
 * As many at once, of all archives, as there are processors. With more the thread that feeds them is starved, and with it
 * all of them.
 */
const compressing = pLimit(Math.min(4, availableParallelism()))

interface BlockInWork {
  readonly block: Block
  readonly bytes: Promise<Uint8Array>
}

const FILE_NAME = /^[\x20-\x7e]{1,255}$/
// ID1 ID2 CM=deflate FLG=FNAME MTIME=0 XFL=0 OS=unknown (RFC 1952); influxd's archives begin the same.
const HEADER = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255]
/** The last deflate block of every archive: empty, fixed codes, BFINAL set. */
const LAST_BLOCK = [3, 0]
/** CRC-32 and size modulo 2^32 of the tar, little endian. */
const TRAILER_SIZE = 8

/**
 * Compresses a tar into one gzip member of blocks that can be inflated on their own: deflate, then a full flush, with
 * no history from the block before; or into a member for each block. It is read once; what it gives belongs to the
 * consumer, but for blocks that are not compressed: they may change when the next is asked for. No more than `inFlight` blocks
 * are held; the tar is closed when the consumer stops early. Errors of the tar pass unchanged.
 */
export class ArchiveWriter implements AsyncIterable<Uint8Array> {
  readonly #tar: AsyncIterable<Uint8Array>
  readonly #options: WriteArchiveOptions
  readonly #hash = createHash('sha256')
  readonly #seekPoints: SeekPoint[] = []
  readonly #blockCrcs: number[] = []
  #crc = 0
  #tarSize = 0
  #gzSize = 0
  #summary: ArchiveSummary | undefined

  /** @throws SnapError `E_FAILED` if the file name cannot stand in a gzip header */
  constructor(tar: AsyncIterable<Uint8Array>, options: WriteArchiveOptions) {
    if (!FILE_NAME.test(options.fileName)) {
      throw new SnapError('E_FAILED', `archive: file name ${JSON.stringify(options.fileName)}`)
    }
    this.#tar = tar
    this.#options = options
  }

  /**
   * What was written.
   * @throws SnapError `E_FAILED` unless the archive was read to its end
   */
  get summary(): ArchiveSummary {
    if (this.#summary !== undefined) return this.#summary
    throw new SnapError('E_FAILED', `archive ${this.#options.fileName} is not complete`)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { compressMember, fileName, inFlight = compressMember ? 2 : 4 } = this.#options
    if (!compressMember)
      yield this.#count(Buffer.from([...HEADER, ...Buffer.from(`${fileName}\0`)]))
    const waiting: BlockInWork[] = []
    try {
      for await (const block of blocksOf(this.#tar, this.#kind)) {
        const bytes = this.#compress(block)
        // It is awaited in its turn, which may be after it failed.
        bytes.catch(() => {})
        waiting.push({ block, bytes })
        if (waiting.length < inFlight) continue
        const first = waiting.shift()
        if (first !== undefined) yield* this.#finish(first)
      }
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        yield* this.#finish(next)
      }
    } finally {
      await Promise.allSettled(waiting.map(({ bytes }) => bytes))
    }
    if (!compressMember) yield this.#count(this.#end())
    else if (this.#tarSize === 0) yield this.#count(await compressMember(new Uint8Array()))
    this.#summary = {
      tarSize: this.#tarSize,
      gzSize: this.#gzSize,
      ...(compressMember && { members: true }),
      seekPoints: this.#seekPoints,
      blockCrcs: this.#blockCrcs,
      sha256: this.#hash.digest('hex'),
    }
  }

  get #kind(): BlockKind {
    const { compression, compressMember } = this.#options
    if (compressMember !== undefined) return MEMBER
    return compression === 'none' ? STORED : PLAIN
  }

  async #compress(block: Block): Promise<Uint8Array> {
    const { level = 1, compressMember } = this.#options
    if (this.#kind === STORED) return storeBlock(block)
    const { bytes } = block
    return await compressing(() => {
      if (compressMember !== undefined) return compressMember(bytes)
      return deflate(bytes, {
        level,
        memLevel: 9,
        // Room for all of it, so that one trip to the thread is enough.
        chunkSize: bytes.length + 1024,
        finishFlush: constants.Z_FULL_FLUSH,
      })
    })
  }

  /** Gives a block when it is compressed, and then takes its memory back. */
  async *#finish({ block, bytes }: BlockInWork): AsyncGenerator<Uint8Array, void, undefined> {
    const { size, crc } = block
    this.#seekPoints.push([this.#tarSize, this.#gzSize])
    this.#blockCrcs.push(crc)
    yield this.#count(await bytes)
    this.#tarSize += size
    this.#crc = combineCrc32(this.#crc, crc, size)
    this.#kind.memory.give(block.bytes)
  }

  #count(bytes: Uint8Array): Uint8Array {
    this.#hash.update(bytes)
    this.#gzSize += bytes.length
    return bytes
  }

  #end(): Uint8Array {
    const end = Buffer.alloc(LAST_BLOCK.length + TRAILER_SIZE)
    end.set(LAST_BLOCK)
    end.writeUInt32LE(this.#crc, LAST_BLOCK.length)
    end.writeUInt32LE(this.#tarSize % 2 ** 32, LAST_BLOCK.length + 4)
    return end
  }
}
