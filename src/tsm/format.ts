import { SnapError } from '../errors.ts'

/** First four bytes of a TSM file, big-endian. */
export const TSM_MAGIC = 0x16d116d1
/** Fifth byte of a TSM file. */
export const TSM_VERSION = 1
/** Bytes before the first block: magic and version. */
export const TSM_HEADER_SIZE = 5
/** Bytes after the index: its offset. */
export const TSM_FOOTER_SIZE = 8
/** Bytes of one block entry in the index: minimum time, maximum time, offset, size. */
export const INDEX_ENTRY_SIZE = 28
/** Bytes of the CRC32 before every block; an entry's size counts them. */
export const CRC_SIZE = 4
/** Longest key, in bytes. */
export const MAX_KEY_LENGTH = 0xffff
/** Most blocks of one key in one file. */
export const MAX_INDEX_ENTRIES = 0xffff
/** A file that has grown past this many bytes, index counted, is closed and the next one begun. */
export const MAX_TSM_FILE_SIZE = 2048 * 1024 * 1024
/** Most points influxd puts in a block. */
export const MAX_POINTS_PER_BLOCK = 1000
/**
 * Most values that are decoded from one block. A run-length block can claim 2^64 of them in a dozen bytes;
 * influxd writes {@link MAX_POINTS_PER_BLOCK}.
 */
export const MAX_BLOCK_VALUES = 65_536 * 16

/** The types of a field. */
export type FieldType = 'float' | 'integer' | 'boolean' | 'string' | 'unsigned'

// the index of a type is its code in blocks and in the index
const FIELD_TYPES: readonly FieldType[] = ['float', 'integer', 'boolean', 'string', 'unsigned']

/** Returns the field type of a block-type byte, or undefined if it is none. */
export function findFieldType(code: number | undefined): FieldType | undefined {
  return code === undefined ? undefined : FIELD_TYPES[code]
}

/**
 * Returns the field type of a block-type byte.
 * @param where what holds the byte, for the message
 * @throws SnapError `E_FORMAT` if it is none
 */
export function fieldTypeOf(code: number | undefined, where: string): FieldType {
  const type = findFieldType(code)
  if (type !== undefined) return type
  throw new SnapError('E_FORMAT', `${where}: block type ${code}, expected 0 to 4`)
}

/** Returns the block-type byte of a field type. */
export function fieldTypeCode(type: FieldType): number {
  return FIELD_TYPES.indexOf(type)
}
