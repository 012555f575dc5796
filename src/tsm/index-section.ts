import { SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import type { FieldType } from './format.ts'
import { CRC_SIZE, findFieldType, INDEX_ENTRY_SIZE, TSM_HEADER_SIZE } from './format.ts'
import { ReadAhead } from './read-ahead.ts'
import type { TimeRange } from './values.ts'

/** Where a block is and what times it holds. */
export interface IndexEntry extends TimeRange {
  /** Offset of the block's CRC in the file. */
  readonly offset: number
  /** Size in bytes, the CRC's 4 included. */
  readonly size: number
}

/** A key of a TSM file with its blocks. */
export interface TsmKey {
  /** The composite key, see {@link parseCompositeKey}. The caller's to keep. */
  readonly key: Uint8Array
  readonly type: FieldType
  /** One or more, ordered by their first time. */
  readonly entries: readonly IndexEntry[]
}

/** Where the index of a file is. */
export interface IndexSection {
  readonly source: RandomAccess
  readonly start: number
  readonly end: number
}

const MAX_WINDOW = 256 * 1024

// what follows a key: block type and count of entries
const TYPE_AND_COUNT = 3
// a block type, a length and one time
const MIN_BLOCK_SIZE = CRC_SIZE + 2

/**
 * Reads the keys of an index in order, a window at a time:
 *
 *     | key length u16 | key | type u8 | entry count u16 | entry 28 bytes ... |  for each key, ascending
 *     entry: | first time i64 | last time i64 | offset i64 | size u32 |
 *
 * @param readAhead bytes that are read at once, if not more than 256 KiB
 * @throws SnapError `E_FORMAT` if keys or entries are out of order, or an entry points outside the blocks
 */
export async function* readIndex(section: IndexSection, readAhead: number): AsyncGenerator<TsmKey> {
  const { source, start, end } = section
  const ahead = new ReadAhead(source, end, Math.min(readAhead, MAX_WINDOW))
  // Neither a promise nor a wait where the window has the bytes: there may be millions of keys.
  const take = (offset: number, length: number): Uint8Array | Promise<Uint8Array> => {
    if (offset + length > end) throw fault(section, offset, 'the index is cut')
    return ahead.peek(offset, length) ?? ahead.fetch(offset, length)
  }
  let previous: Uint8Array | undefined
  try {
    for (let at = start; at < end; ) {
      const length = take(at, 2)
      const keyLength = readU16(length instanceof Promise ? await length : length, 0)
      const taken = take(at + 2, keyLength + TYPE_AND_COUNT)
      const head = taken instanceof Promise ? await taken : taken
      // not `slice`: that of a Buffer is a view, over memory that may be used again
      const key = new Uint8Array(head.subarray(0, keyLength))
      if (keyLength === 0 || (previous !== undefined && Buffer.compare(previous, key) >= 0)) {
        throw fault(section, at, 'a key is empty or not after the key before it')
      }
      const type = findFieldType(head[keyLength])
      if (type === undefined) throw fault(section, at, `block type ${head[keyLength]}`)
      const count = readU16(head, keyLength + 1)
      const entriesAt = at + 2 + head.length
      const size = count * INDEX_ENTRY_SIZE
      const entries = take(entriesAt, size)
      const bytes = entries instanceof Promise ? await entries : entries
      yield { key, type, entries: decodeEntries(section, entriesAt, bytes) }
      previous = key
      at = entriesAt + size
    }
  } finally {
    ahead.release()
  }
}

/** Reads two bytes, big-endian. */
export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

function fault({ source }: IndexSection, offset: number, what: string): SnapError {
  return new SnapError('E_FORMAT', `${source.name}: index at offset ${offset}: ${what}`)
}

function decodeEntries(section: IndexSection, at: number, bytes: Uint8Array): IndexEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries: IndexEntry[] = []
  for (let i = 0; i < bytes.length; i += INDEX_ENTRY_SIZE) {
    const entry: IndexEntry = {
      minTime: view.getBigInt64(i),
      maxTime: view.getBigInt64(i + 8),
      offset: view.getInt32(i + 16) * 2 ** 32 + view.getUint32(i + 20),
      size: view.getUint32(i + 24),
    }
    const previous = entries.at(-1)
    if (entry.minTime > entry.maxTime || (previous && previous.minTime > entry.minTime)) {
      throw fault(section, at + i, `times ${entry.minTime} to ${entry.maxTime} are out of order`)
    }
    const { offset, size } = entry
    if (offset < TSM_HEADER_SIZE || size < MIN_BLOCK_SIZE || offset + size > section.start) {
      throw fault(section, at + i, `${size} bytes at ${offset} are not inside the blocks`)
    }
    entries.push(entry)
  }
  if (entries.length === 0) throw fault(section, at, 'a key has no blocks')
  return entries
}
