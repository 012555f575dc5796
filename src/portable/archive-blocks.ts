import { crc32 } from 'node:zlib'
import { BufferPool } from '../io/buffer-pool.ts'

/** Bytes of tar that are compressed on their own, and so lie between two seek points. */
export const ARCHIVE_BLOCK_SIZE = 2 ** 20
/** The same where each block becomes a gzip member of its own: a program is started for each. */
const MEMBER_SIZE = 4 * ARCHIVE_BLOCK_SIZE
/** Longest run of bytes in a stored block of deflate. */
const MAX_STORED = 65_535
/** What stands before it: 0, its length, the complement of that, both little endian. */
const STORED_HEADER_SIZE = 5
/** Bytes that one may be longer for being compressed. */
const MAX_GROWTH = 64 * 1024
/** Bytes of memory of each kind that are kept for blocks to come. */
const KEPT_MEMORY = 16 * ARCHIVE_BLOCK_SIZE

/** How the bytes of blocks are laid out. */
export interface BlockKind {
  /** Bytes of a block, gaps not counted; the last one of a stream may have fewer. */
  readonly size: number
  /** There is a gap before each so many of them. */
  readonly pieceSize: number
  readonly gap: number
  readonly memory: BufferPool
  /** What blocks are compressed into: what does not get smaller gets a little longer. */
  readonly rooms: BufferPool
}

type Layout = Omit<BlockKind, 'memory' | 'rooms'>

/** A block that is to be compressed. */
export const PLAIN = blockKind({ size: ARCHIVE_BLOCK_SIZE, pieceSize: ARCHIVE_BLOCK_SIZE, gap: 0 })
/** One that becomes a gzip member. */
export const MEMBER = blockKind({ size: MEMBER_SIZE, pieceSize: MEMBER_SIZE, gap: 0 })
/** Room for the headers that make a block stored blocks of deflate. */
export const STORED_LAYOUT = { pieceSize: MAX_STORED, gap: STORED_HEADER_SIZE }
/** One with that room: nothing is moved a second time. */
export const STORED = blockKind({ size: ARCHIVE_BLOCK_SIZE, ...STORED_LAYOUT })

function blockKind(kind: Layout): BlockKind {
  const kept = KEPT_MEMORY / kind.size
  const memory = new BufferPool(roomFor(kind.size, kind), kept)
  return { ...kind, memory, rooms: new BufferPool(kind.size + MAX_GROWTH, kept) }
}

/** Some bytes of a stream, copied together. */
export interface Block {
  /** The bytes in their layout, gaps included; to be given back to the memory of their kind. */
  readonly bytes: Buffer
  /** How many they are, without gaps. */
  readonly size: number
  /** Their CRC-32; 0 of a {@link STORED} block, as it is taken where that is hashed. */
  readonly crc: number
}

/** Bytes that so many of a block take, gaps included. */
function roomFor(size: number, { pieceSize, gap }: Layout): number {
  return size + Math.ceil(size / pieceSize) * gap
}

/** Copies a stream together into blocks. Its chunks may change when the next is asked for. */
export async function* blocksOf(
  body: AsyncIterable<Uint8Array>,
  kind: BlockKind,
): AsyncGenerator<Block, void, undefined> {
  const { size, pieceSize, gap, memory } = kind
  let block: Buffer | undefined
  let filled = 0
  let crc = 0
  const whole = (bytes: Buffer): Block => ({
    ...{ bytes: bytes.subarray(0, roomFor(filled, kind)), size: filled, crc },
  })
  for await (const chunk of body) {
    for (let taken = 0; taken < chunk.length; ) {
      block ??= memory.take()
      const room = Math.min(size - filled, pieceSize - (filled % pieceSize))
      const part = chunk.subarray(taken, taken + room)
      block.set(part, roomFor(filled + 1, kind) - 1)
      if (gap === 0) crc = crc32(part, crc)
      filled += part.length
      taken += part.length
      if (filled < size) continue
      yield whole(block)
      block = undefined
      filled = 0
      crc = 0
    }
  }
  if (block !== undefined) yield whole(block)
}

/** Writes the headers into the gaps of a {@link STORED} block: 0, length, its complement, both little endian. */
export function storeBlock({ bytes }: Block): Uint8Array {
  for (let at = 0; at < bytes.length; at += STORED_HEADER_SIZE + MAX_STORED) {
    const length = Math.min(MAX_STORED, bytes.length - at - STORED_HEADER_SIZE)
    bytes[at] = 0
    bytes.writeUInt16LE(length, at + 1)
    bytes.writeUInt16LE(~length & 0xffff, at + 3)
  }
  return bytes
}
