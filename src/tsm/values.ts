import { SnapError } from '../errors.ts'
import type { FieldType } from './format.ts'

export type { FieldType } from './format.ts'

/** The last time an int64 holds. */
export const MAX_TIME = 2n ** 63n - 1n
/** The first time an int64 holds. */
export const MIN_TIME = -(2n ** 63n)

/**
 * Strings (bytes, UTF-8 by convention): value `i` is `bytes.subarray(offsets[i], offsets[i + 1])`. `offsets` has one
 * more element than there are values; its first need not be 0.
 */
export interface StringColumn {
  readonly offsets: Uint32Array
  readonly bytes: Uint8Array
}

interface Points<Type extends FieldType, Values> {
  readonly type: Type
  /** Nanoseconds since the epoch. */
  readonly times: BigInt64Array
  /** As many as `times`. */
  readonly values: Values
}

export type FloatBlock = Points<'float', Float64Array>
export type IntegerBlock = Points<'integer', BigInt64Array>
export type UnsignedBlock = Points<'unsigned', BigUint64Array>
/** Booleans are bytes, 0 or 1. */
export type BooleanBlock = Points<'boolean', Uint8Array>
export type StringBlock = Points<'string', StringColumn>

/** Points of one field of one series, in columns. A block that was read or is to be written ascends in time strictly. */
export type Block = FloatBlock | IntegerBlock | UnsignedBlock | BooleanBlock | StringBlock

/** Times from `minTime` to `maxTime`, both inclusive, nanoseconds since the epoch. */
export interface TimeRange {
  readonly minTime: bigint
  readonly maxTime: bigint
}

/** Returns the column of `values`, copied one after the other. */
export function stringColumn(values: readonly Uint8Array[]): StringColumn {
  const offsets = new Uint32Array(values.length + 1)
  let size = 0
  values.forEach((value, i) => {
    size += value.length
    offsets[i + 1] = size
  })
  const bytes = new Uint8Array(size)
  values.forEach((value, i) => {
    bytes.set(value, offsets[i])
  })
  return { offsets, bytes }
}

/** Returns string `i` of a column, a view over it. */
export function stringAt(column: StringColumn, i: number): Uint8Array {
  return column.bytes.subarray(column.offsets[i], column.offsets[i + 1])
}

/** Returns points `from` (inclusive) to `to` (exclusive), a view over `block`. */
export function sliceBlock(block: Block, from: number, to: number): Block {
  const times = block.times.subarray(from, to)
  switch (block.type) {
    case 'float':
      return { type: 'float', times, values: block.values.subarray(from, to) }
    case 'integer':
      return { type: 'integer', times, values: block.values.subarray(from, to) }
    case 'unsigned':
      return { type: 'unsigned', times, values: block.values.subarray(from, to) }
    case 'boolean':
      return { type: 'boolean', times, values: block.values.subarray(from, to) }
    case 'string': {
      const offsets = block.values.offsets.subarray(from, to + 1)
      return { type: 'string', times, values: { offsets, bytes: block.values.bytes } }
    }
  }
}

/** Returns the first index of `times`, which ascend, whose time is at least `time`. */
export function searchTime(times: BigInt64Array, time: bigint): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] ?? time) < time) low = middle + 1
    else high = middle
  }
  return low
}

/** Returns the points of an ascending block inside `range`, a view over `block`. */
export function sliceTimes(block: Block, { minTime, maxTime }: TimeRange): Block {
  const from = searchTime(block.times, minTime)
  const to = maxTime === MAX_TIME ? block.times.length : searchTime(block.times, maxTime + 1n)
  return sliceBlock(block, from, Math.max(from, to))
}

/**
 * Returns the first and last time of an ascending block.
 * @throws SnapError `E_FAILED` if it has no points
 */
export function rangeOf({ times }: Block): TimeRange {
  const [minTime] = times
  const maxTime = times.at(-1)
  if (minTime !== undefined && maxTime !== undefined) return { minTime, maxTime }
  throw new SnapError('E_FAILED', 'a block without points has no times')
}
