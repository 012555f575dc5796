import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { constants, crc32, deflateRaw } from 'node:zlib'
import { SnapError } from '../errors.ts'

/** Bytes of tar that are compressed on their own, and so lie between two seek points. */
export const ARCHIVE_BLOCK_SIZE = 2 ** 20
/** The same where each block becomes a gzip member of its own: a program is started for each. */
export const ARCHIVE_MEMBER_SIZE = 4 * ARCHIVE_BLOCK_SIZE

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
  /** Blocks compressed at the same time, on libuv's threads. Default 4, as many as there are. */
  readonly inFlight?: number | undefined
}

const deflate = promisify(deflateRaw)

const FILE_NAME = /^[\x20-\x7e]{1,255}$/
// ID1 ID2 CM=deflate FLG=FNAME MTIME=0 XFL=0 OS=unknown (RFC 1952); influxd's archives begin the same.
const HEADER = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255]
/** The last deflate block of every archive: empty, fixed codes, BFINAL set. */
const LAST_BLOCK = [3, 0]
/** CRC-32 and size modulo 2^32 of the tar, little endian. */
const TRAILER_SIZE = 8
const MAX_STORED = 65_535
const STORED_HEADER_SIZE = 5

/**
 * Compresses a tar into one gzip member of blocks that can be inflated on their own: deflate, then a full flush, with
 * no history from the block before; or into a member for each block. It is read once; what it gives belongs to the consumer. No more than `inFlight`
 * blocks are held; the tar is closed when the consumer stops early. Errors of the tar pass unchanged.
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
    const { compressMember, fileName } = this.#options
    const blockSize = compressMember ? ARCHIVE_MEMBER_SIZE : ARCHIVE_BLOCK_SIZE
    if (!compressMember)
      yield this.#count(Buffer.from([...HEADER, ...Buffer.from(`${fileName}\0`)]))
    const waiting: { readonly length: number; readonly bytes: Promise<Uint8Array> }[] = []
    try {
      for await (const block of blocksOf(this.#tar, blockSize)) {
        this.#crc = crc32(block, this.#crc)
        this.#blockCrcs.push(crc32(block))
        const bytes = this.#compress(block)
        // It is awaited in its turn, which may be after it failed.
        bytes.catch(() => {})
        waiting.push({ length: block.length, bytes })
        if (waiting.length < (this.#options.inFlight ?? 4)) continue
        const first = waiting.shift()
        if (first !== undefined) yield this.#countBlock(first.length, await first.bytes)
      }
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        yield this.#countBlock(next.length, await next.bytes)
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

  #compress(block: Uint8Array): Promise<Uint8Array> {
    const { compression = 'gzip', level = 1, compressMember } = this.#options
    if (compressMember !== undefined) return compressMember(block)
    if (compression === 'none') return Promise.resolve(store(block))
    return deflate(block, {
      level,
      memLevel: 9,
      // Room for all of it, so that one trip to the thread is enough.
      chunkSize: block.length + 1024,
      finishFlush: constants.Z_FULL_FLUSH,
    })
  }

  #countBlock(length: number, bytes: Uint8Array): Uint8Array {
    this.#seekPoints.push([this.#tarSize, this.#gzSize])
    this.#tarSize += length
    return this.#count(bytes)
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

async function* blocksOf(
  body: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let block = Buffer.allocUnsafeSlow(size)
  let filled = 0
  for await (const chunk of body) {
    for (let taken = 0; taken < chunk.length; ) {
      const part = chunk.subarray(taken, taken + size - filled)
      block.set(part, filled)
      filled += part.length
      taken += part.length
      if (filled < size) continue
      yield block
      block = Buffer.allocUnsafeSlow(size)
      filled = 0
    }
  }
  if (filled > 0) yield block.subarray(0, filled)
}

/** Frames `block` as deflate's stored blocks: 0, length, its complement, both little endian, and the bytes. */
function store(block: Uint8Array): Uint8Array {
  const pieces = Math.ceil(block.length / MAX_STORED)
  const stored = Buffer.allocUnsafeSlow(block.length + pieces * STORED_HEADER_SIZE)
  let at = 0
  for (let start = 0; start < block.length; start += MAX_STORED) {
    const piece = block.subarray(start, start + MAX_STORED)
    stored[at] = 0
    stored.writeUInt16LE(piece.length, at + 1)
    stored.writeUInt16LE(~piece.length & 0xffff, at + 3)
    stored.set(piece, at + STORED_HEADER_SIZE)
    at += STORED_HEADER_SIZE + piece.length
  }
  return stored
}
