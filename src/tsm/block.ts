import { SnapError } from '../errors.ts'
import { decodeBooleans, encodeBooleans } from './codecs/booleans.ts'
import { decodeStrings, encodeStrings } from './codecs/strings.ts'
import { readVarint, varintLength, writeVarint } from './codecs/varint.ts'
import { fieldTypeCode, fieldTypeOf } from './format.ts'
import { decodeWords, encodeWords, isAscending } from './kernels/kernels.ts'
import type { Block } from './values.ts'

/**
 * Decodes a block, see docs/formats/encodings.md:
 *
 *     | type u8 | length of times varint | times ... | values ... |
 *
 * The points are in the block's order, which ascends in every block that influxd writes. The result does not share
 * memory with `bytes`.
 * @param bytes the block without the CRC before it
 * @param where what the block is, for messages
 * @throws SnapError `E_FORMAT`
 */
export function decodeBlock(bytes: Uint8Array, where = 'block'): Block {
  const type = fieldTypeOf(bytes[0], where)
  const length = readVarint(bytes, 1)
  if (length === undefined || length.next + length.value > bytes.length) {
    throw new SnapError('E_FORMAT', `${where}: its times are cut`)
  }
  const end = length.next + length.value
  const encoded = bytes.subarray(length.next, end)
  const times = new BigInt64Array(decodeWords('decodeTimes', encoded, `${where}: times`))
  if (times.length === 0) throw new SnapError('E_FORMAT', `${where}: no points`)
  return decodeValues({
    type,
    times,
    bytes: bytes.subarray(end),
    where: `${where}: ${type} values`,
  })
}

interface EncodedValues {
  readonly type: Block['type']
  readonly times: BigInt64Array
  readonly bytes: Uint8Array
  readonly where: string
}

function decodeValues({ type, times, bytes, where }: EncodedValues): Block {
  switch (type) {
    case 'float': {
      const values = new Float64Array(decodeWords('decodeFloats', bytes, where))
      return { type, times, values: checked(values, times, where) }
    }
    case 'integer': {
      const values = new BigInt64Array(decodeWords('decodeIntegers', bytes, where))
      return { type, times, values: checked(values, times, where) }
    }
    case 'unsigned': {
      const values = new BigUint64Array(decodeWords('decodeIntegers', bytes, where))
      return { type, times, values: checked(values, times, where) }
    }
    case 'boolean':
      return { type, times, values: decodeBooleans(bytes, times.length, where) }
    case 'string':
      return { type, times, values: decodeStrings(bytes, times.length, where) }
  }
}

function checked<Column extends { readonly length: number }>(
  values: Column,
  times: BigInt64Array,
  where: string,
): Column {
  if (values.length === times.length) return values
  throw new SnapError('E_FORMAT', `${where}: ${values.length} values, expected ${times.length}`)
}

/**
 * Encodes a block with the bytes that influxd 1.x writes for the same points; strings may be compressed otherwise.
 * @returns bytes of their own, without a CRC
 * @throws SnapError `E_FAILED` if the block is empty, does not ascend in time, or holds NaN, which influxd cannot store
 */
export function encodeBlock(block: Block, where = 'block'): Uint8Array {
  if (!isAscending(block.times)) throw new SnapError('E_FAILED', `${where}: times do not ascend`)
  const times = encodeWords('encodeTimes', block.times, `${where}: times`)
  const values = encodeValues(block, `${where}: ${block.type} values`)
  const encoded = new Uint8Array(1 + varintLength(times.length) + times.length + values.length)
  encoded[0] = fieldTypeCode(block.type)
  const at = writeVarint(encoded, 1, times.length)
  encoded.set(times, at)
  encoded.set(values, at + times.length)
  return encoded
}

function encodeValues(block: Block, where: string): Uint8Array {
  switch (block.type) {
    case 'float':
      return encodeWords('encodeFloats', block.values, where)
    case 'integer':
    case 'unsigned':
      return encodeWords('encodeIntegers', block.values, where)
    case 'boolean':
      return encodeBooleans(block.values)
    case 'string':
      return encodeStrings(block.values, where)
  }
}
