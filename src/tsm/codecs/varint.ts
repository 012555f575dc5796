/** An unsigned varint that was read: its value and the offset after it. */
export interface Varint {
  readonly value: number
  readonly next: number
}

// ten groups of 7 bits hold 64 of them
const MAX_VARINT_LENGTH = 10

/**
 * Reads the unsigned varint (7 bits a byte, lowest first) at `at`. Values above 2^53 are not exact: they are lengths,
 * and every limit is far below.
 * @returns undefined if it is cut or longer than ten bytes
 */
export function readVarint(bytes: Uint8Array, at: number): Varint | undefined {
  let value = 0
  let scale = 1
  for (let i = at; i < at + MAX_VARINT_LENGTH; i++) {
    const byte = bytes[i]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, next: i + 1 }
    scale *= 128
  }
  return undefined
}

/** Returns how many bytes `value`, below 2^53, takes as a varint. */
export function varintLength(value: number): number {
  let length = 1
  for (let left = value; left >= 0x80; left = Math.floor(left / 128)) length++
  return length
}

/** Writes `value`, below 2^53, as a varint at `at`; returns the offset after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let left = value
  let i = at
  for (; left >= 0x80; left = Math.floor(left / 128)) bytes[i++] = (left % 128) | 0x80
  bytes[i++] = left
  return i
}
