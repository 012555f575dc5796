import { availableParallelism } from 'node:os'
import pLimit from 'p-limit'
import { SnapError } from '../errors.ts'
import { combineCrc32 } from '../io/crc32.ts'
import { type Layout, Sha256 } from '../io/hash-worker.ts'
import {
  type Block,
  type BlockKind,
  blocksOf,
  MEMBER,
  PLAIN,
  STORED,
  STORED_LAYOUT,
  storeBlock,
} from './archive-blocks.ts'
import { deflateBlock } from './deflate-block.ts'

/** What becomes a gzip member, and its CRC-32. */
export interface MemberContent {
  readonly bytes: Uint8Array
  readonly crc: number
}

/** Makes a whole gzip member (RFC 1952) of some bytes; it may be a view of `room`. */
export type CompressMember = (content: MemberContent, room: Buffer) => Promise<Uint8Array>

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
  /** Compresses each block into a member of its own, instead of `compression`. */
  readonly compressMember?: CompressMember | undefined
  /**
   * Blocks held at the same time, being compressed or waiting for their turn. Default 4; of members 2, and 1 where so many
   * archives are written at once that there is always one to compress; 1 of those that are stored, which need no time.
   */
  readonly inFlight?: number | undefined
  /** Bytes that the tar is likely to have, if that is known. */
  readonly expected?: number | undefined
}

/**
 * Blocks that are compressed at once, of all archives: as many as there are processors. With more the thread that feeds them is
 * starved, and with it all of them.
 */
export const MAX_COMPRESSING = Math.min(4, availableParallelism())
const compressing = pLimit(MAX_COMPRESSING)

/** Archives that are being written. */
let writing = 0

/** A block as it stands in the archive. */
interface Compressed {
  readonly bytes: Uint8Array
  /** What they are in, to be given back; without it they are in the memory of the block. */
  readonly room?: Buffer
}

interface BlockInWork {
  readonly block: Block
  readonly compressed: Promise<Compressed>
}

const NOTHING: MemberContent = { bytes: new Uint8Array(), crc: 0 }
const FILE_NAME = /^[\x20-\x7e]{1,255}$/
// ID1 ID2 CM=deflate FLG=FNAME MTIME=0 XFL=0 OS=unknown (RFC 1952); influxd's archives begin the same.
const HEADER = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255]
/** The last deflate block of every archive: empty, fixed codes, BFINAL set. */
const LAST_BLOCK = [3, 0]
/** CRC-32 and size modulo 2^32 of the tar, little endian. */
const TRAILER_SIZE = 8

/**
 * Compresses a tar into one gzip member of blocks that can be inflated on their own: deflate, then a full flush, with
 * no history from the block before; or into a member for each block. It is read once; what it gives may change when the
 * next is asked for. No more than `inFlight` blocks are held; the tar is closed when the consumer stops early. Errors of the
 * tar pass unchanged.
 */
export class ArchiveWriter implements AsyncIterable<Uint8Array> {
  readonly #tar: AsyncIterable<Uint8Array>
  readonly #options: WriteArchiveOptions
  readonly #hash: Sha256
  readonly #seekPoints: SeekPoint[] = []
  #blockCrcs: number[] = []
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
    this.#hash = new Sha256(options.expected)
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
    if (!compressMember)
      yield await this.#count(Buffer.from([...HEADER, ...Buffer.from(`${fileName}\0`)]))
    const waiting: BlockInWork[] = []
    writing++
    try {
      for await (const block of blocksOf(this.#tar, this.#kind)) {
        const compressed = this.#compress(block)
        // It is awaited in its turn, which may be after it failed.
        compressed.catch(() => {})
        waiting.push({ block, compressed })
        if (waiting.length < this.#inFlight) continue
        const first = waiting.shift()
        if (first !== undefined) yield* this.#finish(first)
      }
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        yield* this.#finish(next)
      }
    } finally {
      writing--
      await Promise.allSettled(waiting.map(({ compressed }) => compressed))
    }
    if (this.#kind === STORED) this.#blockCrcs = [...(await this.#hash.crcs())]
    if (!compressMember) yield await this.#count(this.#end())
    else if (this.#tarSize === 0)
      yield await this.#count(await compressMember(NOTHING, Buffer.alloc(64)))
    this.#summary = {
      tarSize: this.#tarSize,
      gzSize: this.#gzSize,
      ...(compressMember && { members: true }),
      seekPoints: this.#seekPoints,
      blockCrcs: this.#blockCrcs,
      sha256: await this.#hash.digest(),
    }
  }

  get #kind(): BlockKind {
    const { compression, compressMember } = this.#options
    if (compressMember !== undefined) return MEMBER
    return compression === 'none' ? STORED : PLAIN
  }

  get #inFlight(): number {
    const { compressMember, inFlight } = this.#options
    if (inFlight !== undefined) return inFlight
    if (this.#kind === STORED) return 1
    if (compressMember === undefined) return 4
    return writing > MAX_COMPRESSING ? 1 : 2
  }

  async #compress(block: Block): Promise<Compressed> {
    const { compressMember = deflateBlock } = this.#options
    if (this.#kind === STORED) return { bytes: storeBlock(block) }
    return await compressing(async () => {
      const { memory, rooms } = this.#kind
      const room = rooms.take()
      const bytes = await compressMember(block, room)
      // Blocks wait for their turn compressed, and the next ones of all archives are read into the memory of these.
      memory.give(block.bytes)
      return { bytes, room }
    })
  }

  /** Gives a block when it is compressed, and then takes the memory back that it is in. */
  async *#finish({ block, compressed }: BlockInWork): AsyncGenerator<Uint8Array, void, undefined> {
    const { size, crc } = block
    this.#seekPoints.push([this.#tarSize, this.#gzSize])
    this.#blockCrcs.push(crc)
    const { bytes, room } = await compressed
    yield await this.#count(bytes, this.#kind === STORED ? STORED_LAYOUT : undefined)
    this.#tarSize += size
    if (room === undefined) this.#kind.memory.give(block.bytes)
    else this.#kind.rooms.give(room)
  }

  /** @param layout of bytes whose content wants a CRC */
  async #count(bytes: Uint8Array, layout?: Layout): Promise<Uint8Array> {
    await this.#hash.update(bytes, layout)
    this.#gzSize += bytes.length
    return bytes
  }

  /** CRC-32 of the tar, out of those of its blocks. */
  get #crc(): number {
    const { size } = this.#kind
    const ofBlock = (block: number) => Math.min(size, this.#tarSize - block * size)
    return this.#blockCrcs.reduce((crc, next, block) => combineCrc32(crc, next, ofBlock(block)), 0)
  }

  #end(): Uint8Array {
    const end = Buffer.alloc(LAST_BLOCK.length + TRAILER_SIZE)
    end.set(LAST_BLOCK)
    end.writeUInt32LE(this.#crc, LAST_BLOCK.length)
    end.writeUInt32LE(this.#tarSize % 2 ** 32, LAST_BLOCK.length + 4)
    return end
  }
}
