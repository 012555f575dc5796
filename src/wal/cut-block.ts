import { MAX_SNAPPY_SIZE } from '../tsm/codecs/snappy.ts'
import { readVarint } from '../tsm/codecs/varint.ts'

/** Bytes the length before a snappy block takes at most. */
const MAX_PREAMBLE_SIZE = 5

/**
 * Says whether `bytes` are the beginning of a snappy block and not the whole of it: what a write leaves behind that was
 * cut off. Bytes that hold a whole block, or none, are false: then it is the length before them that is wrong.
 */
export function isCutBlock(bytes: Uint8Array): boolean {
  const preamble = readVarint(bytes, 0)
  if (preamble === undefined) return bytes.length < MAX_PREAMBLE_SIZE
  return preamble.value <= MAX_SNAPPY_SIZE && endsEarly(bytes, preamble.next, preamble.value)
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
