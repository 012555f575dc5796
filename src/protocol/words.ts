import { SnapError } from '../errors.ts'
import { BackupMagicHeader } from './constants.ts'

/** Size of a word of the wire: 64 bits, big-endian. */
export const WORD = 8

/** Returns `values` as big-endian 64-bit words. */
export function encodeWords(values: readonly (bigint | number)[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * WORD)
  for (const [index, value] of values.entries()) bytes.writeBigUInt64BE(BigInt(value), index * WORD)
  return bytes
}

/**
 * Returns the word at `offset`.
 * @throws SnapError `E_CUT` if `bytes` end before its end
 */
export function decodeWord(bytes: Uint8Array, offset: number, what: string): bigint {
  if (offset + WORD > bytes.length) throw cutAnswer(what, offset + WORD, bytes.length)
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset)
}

/**
 * Checks that `bytes` begin with {@link BackupMagicHeader}.
 * @throws SnapError `E_CUT` or `E_PROTOCOL`
 */
export function checkMagic(bytes: Uint8Array, what: string): void {
  const magic = decodeWord(bytes, 0, what)
  if (magic === BigInt(BackupMagicHeader)) return
  throw new SnapError(
    'E_PROTOCOL',
    `${what}: expected magic ${BackupMagicHeader.toString(16)}, got ${magic.toString(16)}`,
  )
}

/**
 * Checks that an answer has the size its own lengths give it.
 * @throws SnapError `E_CUT` if it is shorter, `E_PROTOCOL` if it is longer
 */
export function checkSize(bytes: Uint8Array, expected: number, what: string): void {
  if (bytes.length < expected) throw cutAnswer(what, expected, bytes.length)
  if (bytes.length === expected) return
  throw new SnapError('E_PROTOCOL', `${what}: expected ${expected} bytes, got ${bytes.length}`)
}

function cutAnswer(what: string, expected: number, got: number): SnapError {
  return new SnapError('E_CUT', `${what}: ends after ${got} bytes, expected ${expected}`, {
    retryable: true,
  })
}
