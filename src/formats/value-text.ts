import type { Block } from '../tsm/values.ts'
import type { TextBuffer } from './text-buffer.ts'

/** How a text format writes values. */
export interface ValueStyle {
  /** Follows an integer. */
  readonly integerSuffix: string
  /** Follows an unsigned integer. */
  readonly unsignedSuffix: string
  /** Goes before a byte of a string that is to be escaped. */
  readonly escape: number
  /** An element for each byte value, 1 for those to be escaped. */
  readonly escaped: Uint8Array
}

const QUOTE = 0x22

/** Returns the table that {@link ValueStyle} wants of the ASCII characters in `characters`. */
export function escapeTable(characters: string): Uint8Array {
  const table = new Uint8Array(256)
  for (const byte of Buffer.from(characters)) table[byte] = 1
  return table
}

/** Returns the 32-bit words of 64-bit numbers, the low one first: a view (Node runs on little-endian machines). */
export function wordsOf(values: BigInt64Array | BigUint64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, 2 * values.length)
}

/** Returns the function that puts value `i` of a block into a buffer. */
export function valueWriter(
  block: Block,
  style: ValueStyle,
): (buffer: TextBuffer, i: number) => void {
  switch (block.type) {
    case 'float': {
      const { values } = block
      return (buffer, i) => buffer.putFloat(values[i] ?? 0)
    }
    case 'integer': {
      const words = wordsOf(block.values)
      return (buffer, i) => {
        buffer.putInt64(words[2 * i + 1] ?? 0, words[2 * i] ?? 0)
        buffer.putAscii(style.integerSuffix)
      }
    }
    case 'unsigned': {
      const words = wordsOf(block.values)
      return (buffer, i) => {
        buffer.putUint64(words[2 * i + 1] ?? 0, words[2 * i] ?? 0)
        buffer.putAscii(style.unsignedSuffix)
      }
    }
    case 'boolean': {
      const { values } = block
      return (buffer, i) => buffer.putAscii(values[i] === 0 ? 'false' : 'true')
    }
    case 'string': {
      const { offsets, bytes } = block.values
      return (buffer, i) => {
        buffer.putByte(QUOTE)
        const text = bytes.subarray(offsets[i], offsets[i + 1])
        buffer.putEscaped(text, style.escape, style.escaped)
        buffer.putByte(QUOTE)
      }
    }
  }
}
