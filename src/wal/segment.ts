import { SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { snappyDecode } from '../tsm/codecs/snappy.ts'
import { ReadAhead } from '../tsm/read-ahead.ts'
import { isCutBlock } from './cut-block.ts'
import { decodeEntry, ENTRY_TYPES, type WalEntry } from './entry.ts'

/** Type byte and big-endian uint32 length of the block. */
const HEADER_SIZE = 5

const READ_AHEAD = 1024 * 1024

/** How much of an entry without an end is looked at. */
const TAIL_LIMIT = 64 * 1024 * 1024

/** Bytes of a segment that are no entry. */
export interface WalDamage {
  /**
   * - `torn`: a write that was cut off and so never acknowledged; the segment ends there
   * - `hole`: zeros in the place of such a write, entries follow
   * - `corrupt`: not what influxd wrote; it and everything behind it in the segment are given up
   */
  readonly kind: 'torn' | 'hole' | 'corrupt'
  readonly offset: number
  readonly bytes: number
  /** What is wrong, for messages. */
  readonly detail: string
}

/**
 * Returns those of `names` that are WAL segments, in the order in which influxd reads them: that of the text, so
 * `_100000.wal` comes before `_99999.wal`.
 */
export function segmentNames(names: readonly string[]): string[] {
  return names.filter((name) => name.startsWith('_') && name.endsWith('.wal')).sort()
}

/**
 * Yields the entries of one segment in the order they were written, up to `segment.size`: of a segment that is being
 * written give the size noted. Entries behind a corrupt one are not read, as influxd does not. Holes are passed over:
 * influxd makes them itself when it cuts a torn entry off and goes on at the old end, and entries behind them are
 * acknowledged ones.
 *
 * @throws SnapError only if reading fails
 */
export async function* readSegment(segment: RandomAccess): AsyncGenerator<WalEntry | WalDamage> {
  const ahead = new ReadAhead(segment, segment.size, READ_AHEAD)
  for (let offset = 0; offset < segment.size; ) {
    const rest = segment.size - offset
    const atLeast = Math.min(HEADER_SIZE, rest)
    const header = ahead.peek(offset, atLeast) ?? (await ahead.fetch(offset, atLeast))
    if (header[0] === 0) {
      const bytes = await countZeros(ahead, offset, segment.size)
      yield { kind: bytes === rest ? 'torn' : 'hole', offset, bytes, detail: 'zeros' }
      offset += bytes
      continue
    }
    const size = sizeOf(header)
    if (size === undefined || size > rest) {
      const held = await ahead.fetch(offset, Math.min(rest, TAIL_LIMIT))
      yield { ...judgeTail(held, size), offset, bytes: rest }
      return
    }
    const item = decode(ahead.peek(offset, size) ?? (await ahead.fetch(offset, size)))
    if (typeof item === 'string') {
      yield { kind: 'corrupt', offset, bytes: rest, detail: item }
      return
    }
    yield item
    offset += size
  }
}

/** Returns the size of the entry behind `header`, header included; undefined if the header is not whole. */
function sizeOf(header: Uint8Array): number | undefined {
  if (header.length < HEADER_SIZE) return undefined
  return HEADER_SIZE + new DataView(header.buffer, header.byteOffset).getUint32(1)
}

/** Decodes one whole entry, or says what is wrong with it. */
function decode(bytes: Uint8Array): WalEntry | string {
  try {
    return decodeEntry(bytes[0] ?? 0, snappyDecode(bytes.subarray(HEADER_SIZE), 'entry'))
  } catch (error) {
    if (error instanceof SnapError) return error.message
    throw error
  }
}

/** Tells a write that was cut off from an entry whose header is damaged: influxd gives up both without a word. */
function judgeTail(held: Uint8Array, size: number | undefined): Pick<WalDamage, 'kind' | 'detail'> {
  const detail = `${held.length} bytes of an entry of ${size ?? 'unknown size'}`
  const known = Object.values(ENTRY_TYPES).some((type) => type === held[0])
  const cut = known && isCutBlock(held.subarray(HEADER_SIZE))
  return { kind: cut ? 'torn' : 'corrupt', detail }
}

async function countZeros(ahead: ReadAhead, offset: number, end: number): Promise<number> {
  for (let at = offset; at < end; ) {
    const bytes = await ahead.fetch(at, Math.min(READ_AHEAD, end - at))
    const index = bytes.findIndex((byte) => byte !== 0)
    if (index !== -1) return at + index - offset
    at += bytes.length
  }
  return end - offset
}
