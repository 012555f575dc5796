import { snappyUncompressor } from 'hysnappy'
import { messageOf, SnapError } from '../errors.ts'

/** Largest entry that is decoded, bytes. influxd knows no limit of its own; a batch of 25 MB of text is about 100 MiB. */
export const MAX_ENTRY_BYTES = 512 * 1024 * 1024

/**
 * No snappy element makes more than 64 bytes out of 3, so a block that claims to be larger is not one. It also keeps a
 * claim of 512 MiB from being believed of a block of ten bytes.
 */
const MAX_RATIO = 22

const MAX_PREAMBLE_BYTES = 5

const uncompress = snappyUncompressor()

interface Preamble {
  /** Bytes of the preamble itself. */
  readonly size: number
  /** Bytes of the block once decoded. */
  readonly length: number
}

/** Reads the varint before a snappy block; undefined if the bytes end inside it. */
function readPreamble(bytes: Uint8Array): Preamble | undefined {
  let length = 0
  for (let index = 0; index < MAX_PREAMBLE_BYTES; index += 1) {
    const byte = bytes[index]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { size: index + 1, length }
  }
  throw new SnapError('E_FORMAT', 'snappy block: length of more than 5 bytes')
}

/**
 * Decodes a snappy block (the raw format, without frames). The caller owns the result.
 * @throws SnapError `E_FORMAT` on anything that is not exactly one block, or is larger than {@link MAX_ENTRY_BYTES}
 */
export function uncompressBlock(block: Uint8Array): Uint8Array {
  const preamble = readPreamble(block)
  if (preamble === undefined) throw new SnapError('E_FORMAT', 'snappy block: no length')
  const { length } = preamble
  if (length > block.length * MAX_RATIO || length > MAX_ENTRY_BYTES) {
    throw new SnapError('E_FORMAT', `snappy block: ${length} bytes cannot be in ${block.length}`)
  }
  try {
    return uncompress(block, length)
  } catch (error) {
    throw new SnapError('E_FORMAT', `snappy block: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Says whether `bytes` are the beginning of a snappy block and not the whole of it: what a write leaves behind that was
 * cut off. Bytes that hold a whole block, or none, are false: then it is the length before them that is wrong.
 */
export function isCutBlock(bytes: Uint8Array): boolean {
  try {
    const preamble = readPreamble(bytes)
    if (preamble === undefined) return true
    const { size, length } = preamble
    return length <= MAX_ENTRY_BYTES && endsEarly(bytes, size, length)
  } catch {
    return false
  }
}

function endsEarly(bytes: Uint8Array, start: number, length: number): boolean {
  let made = 0
  let at = start
  while (at < bytes.length) {
    const element = readElement(bytes, at)
    if (element === undefined) return made < length
    const { size, makes, back } = element
    if (made + makes > length || back > made || back === 0) return false
    if (at + size > bytes.length) return true
    made += makes
    at += size
  }
  return made < length
}

interface Element {
  /** Bytes it takes in the block. */
  readonly size: number
  /** Bytes it makes. */
  readonly makes: number
  /** How far back it copies from; a literal copies from nowhere and has -1. */
  readonly back: number
}

/** Reads one element of a snappy block, of which only the first bytes need to be there. */
function readElement(bytes: Uint8Array, at: number): Element | undefined {
  const tag = bytes[at] ?? 0
  const long = tag >> 2
  if ((tag & 3) === 0) return readLiteral(bytes, at, long)
  const extra = [0, 1, 2, 4][tag & 3] ?? 0
  if (at + 1 + extra > bytes.length) return undefined
  const distance = readLittle(bytes, at + 1, extra)
  if (extra === 1) return { size: 2, makes: 4 + (long & 7), back: (tag >> 5) * 256 + distance }
  return { size: 1 + extra, makes: 1 + long, back: distance }
}

function readLiteral(bytes: Uint8Array, at: number, long: number): Element | undefined {
  const extra = Math.max(0, long - 59)
  if (at + 1 + extra > bytes.length) return undefined
  const makes = (extra === 0 ? long : readLittle(bytes, at + 1, extra)) + 1
  return { size: 1 + extra + makes, makes, back: -1 }
}

function readLittle(bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let index = 0; index < count; index += 1)
    value += (bytes[at + index] ?? 0) * 2 ** (8 * index)
  return value
}
