import { SnapError } from '../errors.ts'
import { MAX_TIME, MIN_TIME } from '../tsm/values.ts'

/** The first byte of an entry in a segment. Source: influxd's `tsdb/engine/tsm1/wal.go`. */
export const ENTRY_TYPES = { write: 1, delete: 2, deleteRange: 3 } as const

/** The first byte of a key's values in a write entry: not the type codes of TSM. */
export const VALUE_TYPES = { float: 1, integer: 2, boolean: 3, string: 4, unsigned: 5 } as const

/** Bytes of one value behind its time, for the types where that is fixed, by {@link VALUE_TYPES}. */
const FIXED_SIZES: readonly (number | undefined)[] = [undefined, 8, 8, 1, undefined, 8]

const TIME_SIZE = 8
const COUNT_SIZE = 4
const STRING_LENGTH_SIZE = 4
const LINE_FEED = 0x0a

/**
 * Points written: `payload` is the decoded block, the columns say where in it each key's values are. One row for each
 * key, so that a batch of a million points makes a handful of objects.
 */
export interface WalWrite {
  readonly kind: 'write'
  readonly payload: Uint8Array
  /** One of {@link VALUE_TYPES}. */
  readonly types: Uint8Array
  readonly keyStarts: Uint32Array
  readonly keyEnds: Uint32Array
  /** How many (time, value) pairs. */
  readonly counts: Uint32Array
  /** Where the first pair is: big-endian int64 ns, then the value. */
  readonly starts: Uint32Array
}

/** Keys (series key, `#!~#`, field) of which everything in [minTime, maxTime], ns, is deleted. */
export interface WalDelete {
  readonly kind: 'delete'
  readonly payload: Uint8Array
  readonly keyStarts: Uint32Array
  readonly keyEnds: Uint32Array
  readonly minTime: bigint
  readonly maxTime: bigint
}

export type WalEntry = WalWrite | WalDelete

/**
 * Decodes the payload of an entry of type `type`, already uncompressed. The entry keeps `payload`. Accepts and refuses
 * what influxd does.
 * @throws SnapError `E_FORMAT`
 */
export function decodeEntry(type: number, payload: Uint8Array): WalEntry {
  if (type === ENTRY_TYPES.write) return decodeWrite(payload)
  if (type === ENTRY_TYPES.delete) return decodeDelete(payload)
  if (type === ENTRY_TYPES.deleteRange) return decodeDeleteRange(payload)
  throw new SnapError('E_FORMAT', `unknown entry type ${type}`)
}

function decodeWrite(payload: Uint8Array): WalWrite {
  let rows = 0
  walkWrite(payload, () => {
    rows += 1
  })
  const types = new Uint8Array(rows)
  const keyStarts = new Uint32Array(rows)
  const keyEnds = new Uint32Array(rows)
  const counts = new Uint32Array(rows)
  const starts = new Uint32Array(rows)
  let row = 0
  walkWrite(payload, (type, keyStart, start, count) => {
    types[row] = type
    keyStarts[row] = keyStart
    keyEnds[row] = start - COUNT_SIZE
    counts[row] = count
    starts[row] = start
    row += 1
  })
  return { kind: 'write', payload, types, keyStarts, keyEnds, counts, starts }
}

/** Gets a row of a write entry: key at `keyStart`, ending before the count before `start`, where the values begin. */
type Visit = (type: number, keyStart: number, start: number, count: number) => void

function walkWrite(payload: Uint8Array, visit: Visit): void {
  const view = viewOf(payload)
  for (let at = 0; at < payload.length; ) {
    const type = payload[at] ?? 0
    need(view, at, 3)
    const keyStart = at + 3
    const start = keyStart + view.getUint16(at + 1) + COUNT_SIZE
    need(view, at, start - at)
    const count = view.getUint32(start - COUNT_SIZE)
    if (count === 0 || count > payload.length) {
      throw new SnapError('E_FORMAT', `write entry: ${count} values at ${at}`)
    }
    at = skipValues(view, type, start, count)
    visit(type, keyStart, start, count)
  }
}

/** Returns where the values that begin at `start` end, and checks that they do inside the payload. */
function skipValues(view: DataView, type: number, start: number, count: number): number {
  const fixed = FIXED_SIZES[type]
  if (fixed !== undefined) return need(view, start, count * (TIME_SIZE + fixed))
  if (type !== VALUE_TYPES.string) {
    throw new SnapError('E_FORMAT', `write entry: unknown value type ${type}`)
  }
  let at = start
  for (let index = 0; index < count; index += 1) {
    const end = need(view, at, TIME_SIZE + STRING_LENGTH_SIZE)
    at = need(view, end, view.getUint32(end - STRING_LENGTH_SIZE))
  }
  return at
}

function decodeDelete(payload: Uint8Array): WalDelete {
  // An empty payload is no key; a trailing line feed is followed by one more, empty.
  const ends: number[] = []
  for (let at = 0; payload.length > 0 && at >= 0; ) {
    const end = payload.indexOf(LINE_FEED, at)
    ends.push(end === -1 ? payload.length : end)
    at = end === -1 ? -1 : end + 1
  }
  const keyEnds = Uint32Array.from(ends)
  const keyStarts = keyEnds.map((_, index) => (index === 0 ? 0 : (ends[index - 1] ?? 0) + 1))
  return { kind: 'delete', payload, keyStarts, keyEnds, minTime: MIN_TIME, maxTime: MAX_TIME }
}

function decodeDeleteRange(payload: Uint8Array): WalDelete {
  const view = viewOf(payload)
  const first = need(view, 0, 2 * TIME_SIZE)
  const starts: number[] = []
  const ends: number[] = []
  for (let at = first; at < payload.length; ) {
    const start = need(view, at, STRING_LENGTH_SIZE)
    at = need(view, start, view.getUint32(at))
    starts.push(start)
    ends.push(at)
  }
  const [minTime, maxTime] = [view.getBigInt64(0), view.getBigInt64(TIME_SIZE)]
  const [keyStarts, keyEnds] = [Uint32Array.from(starts), Uint32Array.from(ends)]
  return { kind: 'delete', payload, keyStarts, keyEnds, minTime, maxTime }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function need(view: DataView, at: number, count: number): number {
  if (at + count <= view.byteLength) return at + count
  throw new SnapError('E_FORMAT', `entry: needs ${count} bytes at ${at} of ${view.byteLength}`)
}
