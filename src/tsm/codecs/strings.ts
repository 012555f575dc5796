import { SnapError } from '../../errors.ts'
import type { StringColumn } from '../values.ts'
import { MAX_SNAPPY_SIZE, snappyDecode, snappyEncode } from './snappy.ts'
import { readVarint, varintLength, writeVarint } from './varint.ts'

const SNAPPY = 1 << 4

// below this many bytes a loop is faster than a call
const SHORT = 24

/**
 * Decodes `count` strings: a byte 0x10, then snappy of varint length and bytes, over and over.
 * @throws SnapError `E_FORMAT`, its message begins with `where`
 */
export function decodeStrings(bytes: Uint8Array, count: number, where: string): StringColumn {
  if (bytes[0] !== SNAPPY) {
    throw new SnapError('E_FORMAT', `${where}: unknown encoding ${bytes[0]}, expected ${SNAPPY}`)
  }
  const raw = snappyDecode(bytes.subarray(1), where)
  const offsets = new Uint32Array(count + 1)
  let from = 0
  let to = 0
  // the lengths are taken out in place: what is left never overtakes what is read
  for (let i = 0; i < count; i++) {
    // most lengths are a byte, and need no object
    let start = from + 1
    let length = raw[from] ?? Number.NaN
    if (length >= 0x80) {
      const varint = readVarint(raw, from)
      start = varint?.next ?? start
      length = varint?.value ?? Number.NaN
    }
    const end = start + length
    if (!(end <= raw.length)) {
      throw new SnapError('E_FORMAT', `${where}: string ${i} of ${count} is cut`)
    }
    move(raw, to, start, end)
    to += length
    from = end
    offsets[i + 1] = to
  }
  if (from !== raw.length) {
    throw new SnapError('E_FORMAT', `${where}: ${raw.length - from} bytes after ${count} strings`)
  }
  return { offsets, bytes: raw.subarray(0, to) }
}

function move(bytes: Uint8Array, to: number, start: number, end: number): void {
  if (end - start > SHORT) {
    bytes.copyWithin(to, start, end)
    return
  }
  for (let i = start, j = to; i < end; i++, j++) bytes[j] = bytes[i] ?? 0
}

/**
 * Encodes strings as {@link decodeStrings} reads them.
 * @throws SnapError `E_FAILED` if they are more than {@link MAX_SNAPPY_SIZE} bytes
 */
export function encodeStrings({ offsets, bytes }: StringColumn, where: string): Uint8Array {
  const count = offsets.length - 1
  let size = 0
  for (let i = 0; i < count; i++) {
    const length = (offsets[i + 1] ?? 0) - (offsets[i] ?? 0)
    size += varintLength(length) + length
  }
  if (size > MAX_SNAPPY_SIZE) {
    throw new SnapError(
      'E_FAILED',
      `${where}: ${size} bytes of strings, at most ${MAX_SNAPPY_SIZE}`,
    )
  }
  const raw = new Uint8Array(size)
  let at = 0
  for (let i = 0; i < count; i++) {
    const start = offsets[i] ?? 0
    const end = offsets[i + 1] ?? 0
    at = writeVarint(raw, at, end - start)
    raw.set(bytes.subarray(start, end), at)
    at += end - start
  }
  const packed = snappyEncode(raw)
  const encoded = new Uint8Array(1 + packed.length)
  encoded[0] = SNAPPY
  encoded.set(packed, 1)
  return encoded
}
