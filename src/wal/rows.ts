import type { Block } from '../tsm/values.ts'
import { VALUE_TYPES } from './entry.ts'

/** Values of one key as they stand in the payload of a write entry. */
export interface Row {
  readonly view: DataView
  /** Where the first (time, value) pair is. */
  readonly start: number
  readonly count: number
}

/**
 * Returns the points of `rows`, all of value type `type` (one of `VALUE_TYPES`), one row after the other and so in no
 * order of time. The block's buffers are its own.
 */
export function decodeRows(type: number, rows: readonly Row[]): Block {
  const points = rows.reduce((sum, { count }) => sum + count, 0)
  const times = new BigInt64Array(points)
  switch (type) {
    case VALUE_TYPES.float:
      return { type: 'float', times, values: readWords(rows, times, new Float64Array(points)) }
    case VALUE_TYPES.integer:
      return { type: 'integer', times, values: readWords(rows, times, new BigInt64Array(points)) }
    case VALUE_TYPES.unsigned:
      return { type: 'unsigned', times, values: readWords(rows, times, new BigUint64Array(points)) }
    case VALUE_TYPES.boolean:
      return { type: 'boolean', times, values: readBooleans(rows, times) }
    default:
      return { type: 'string', times, values: readStrings(rows, times) }
  }
}

// 64-bit numbers go through as pairs of 32-bit lanes, low first: no BigInt is made and a NaN keeps its bits.
type Words = BigInt64Array | BigUint64Array | Float64Array
const lanesOf = (words: Words) => new Int32Array(words.buffer)

function readWords<Column extends Words>(
  rows: readonly Row[],
  times: BigInt64Array,
  values: Column,
): Column {
  const [timeLanes, valueLanes] = [lanesOf(times), lanesOf(values)]
  let lane = 0
  for (const { view, start, count } of rows) {
    for (let at = start; at < start + 16 * count; at += 16) {
      timeLanes[lane] = view.getInt32(at + 4)
      valueLanes[lane] = view.getInt32(at + 12)
      timeLanes[lane + 1] = view.getInt32(at)
      valueLanes[lane + 1] = view.getInt32(at + 8)
      lane += 2
    }
  }
  return values
}

function readBooleans(rows: readonly Row[], times: BigInt64Array): Uint8Array {
  const lanes = lanesOf(times)
  const values = new Uint8Array(times.length)
  let index = 0
  for (const { view, start, count } of rows) {
    for (let at = start; at < start + 9 * count; at += 9) {
      lanes[2 * index] = view.getInt32(at + 4)
      lanes[2 * index + 1] = view.getInt32(at)
      // Any byte but 1 is false.
      values[index] = view.getUint8(at + 8) === 1 ? 1 : 0
      index += 1
    }
  }
  return values
}

function readStrings(rows: readonly Row[], times: BigInt64Array) {
  const lanes = lanesOf(times)
  const offsets = new Uint32Array(times.length + 1)
  let [index, size] = [0, 0]
  eachString(rows, (view, at, length) => {
    lanes[2 * index] = view.getInt32(at + 4)
    lanes[2 * index + 1] = view.getInt32(at)
    index += 1
    size += length
    offsets[index] = size
  })
  const bytes = new Uint8Array(size)
  index = 0
  eachString(rows, ({ buffer, byteOffset }, at, length) => {
    bytes.set(new Uint8Array(buffer, byteOffset + at + 12, length), offsets[index])
    index += 1
  })
  return { offsets, bytes }
}

function eachString(
  rows: readonly Row[],
  visit: (view: DataView, at: number, length: number) => void,
): void {
  for (const { view, start, count } of rows) {
    let at = start
    for (let index = 0; index < count; index += 1) {
      const length = view.getUint32(at + 8)
      visit(view, at, length)
      at += 12 + length
    }
  }
}
