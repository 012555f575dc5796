import { SnapError } from '../../errors.ts'
import { readVarint, varintLength, writeVarint } from './varint.ts'

const BIT_PACKED = 1 << 4

/**
 * Decodes `count` booleans: a byte 0x10, a varint count, one bit each, highest first, padded with zeros.
 * @throws SnapError `E_FORMAT`, its message begins with `where`
 */
export function decodeBooleans(bytes: Uint8Array, count: number, where: string): Uint8Array {
  const claimed = bytes[0] === BIT_PACKED ? readVarint(bytes, 1) : undefined
  if (claimed === undefined || claimed.value !== count) {
    const got = claimed === undefined ? 'no count' : `a count of ${claimed.value}`
    throw new SnapError('E_FORMAT', `${where}: ${got}, expected ${count}`)
  }
  const bits = bytes.subarray(claimed.next)
  if (bits.length !== Math.ceil(count / 8)) {
    const message = `${where}: ${bits.length} bytes of bits, expected ${Math.ceil(count / 8)}`
    throw new SnapError('E_FORMAT', message)
  }
  const values = new Uint8Array(count)
  for (let i = 0; i < count; i++) values[i] = ((bits[i >> 3] ?? 0) >> (7 - (i & 7))) & 1
  return values
}

/** Encodes booleans (bytes, 0 is false) as {@link decodeBooleans} reads them. */
export function encodeBooleans(values: Uint8Array): Uint8Array {
  const count = values.length
  const encoded = new Uint8Array(1 + varintLength(count) + Math.ceil(count / 8))
  encoded[0] = BIT_PACKED
  const start = writeVarint(encoded, 1, count)
  for (let i = 0; i < count; i++) {
    if (values[i] !== 0)
      encoded[start + (i >> 3)] = (encoded[start + (i >> 3)] ?? 0) | (128 >> (i & 7))
  }
  return encoded
}
