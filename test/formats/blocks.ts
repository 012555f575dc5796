import { fc } from '@fast-check/vitest'
import type { FieldPoints } from '../../src/formats/points.ts'
import { formatCompositeKey, formatSeriesKey } from '../../src/tsm/series-key.ts'
import { type Block, type FieldType, stringAt, stringColumn } from '../../src/tsm/values.ts'

/** A value as JavaScript has it; strings are latin1 text of their bytes. */
export type Value = number | bigint | boolean | string

const INT64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, -1n, 10n ** 9n, 10n ** 18n - 1n, 10n ** 18n, -(2n ** 63n), 2n ** 63n - 1n),
)

const VALUES: Readonly<Record<FieldType, fc.Arbitrary<Value>>> = {
  float: fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.constantFrom(0, -0, 5e-324, Number.MAX_VALUE, 1e21, -1.5e-7, -(2 ** 31), 2 ** 31),
  ),
  integer: INT64,
  unsigned: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  boolean: fc.boolean(),
  string: fc
    .array(fc.constantFrom(...'ab\\", =\n\r#\0é'), { maxLength: 12 })
    .map((parts) => Buffer.from(parts.join('')).toString('latin1')),
}

export const TYPES: readonly FieldType[] = ['float', 'integer', 'unsigned', 'boolean', 'string']

/** Times and values of a type. */
export interface Points {
  readonly type: FieldType
  readonly times: readonly bigint[]
  readonly values: readonly Value[]
}

/** Points in ascending order of time, some of few times so that fields meet. */
export function anyPoints(type: FieldType): fc.Arbitrary<Points> {
  const time = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: 0n, max: 12n }),
  )
  return fc
    .uniqueArray(fc.tuple(time, VALUES[type]), { selector: ([at]) => at, maxLength: 8 })
    .map((rows) => rows.sort(([a], [b]) => (a < b ? -1 : 1)))
    .map((rows) => ({ type, times: rows.map(([at]) => at), values: rows.map(([, v]) => v) }))
}

/** Returns the block of these points. */
export function blockOf({ type, times: at, values }: Points): Block {
  const times = BigInt64Array.from(at)
  switch (type) {
    case 'float':
      return { type, times, values: Float64Array.from(values, Number) }
    case 'integer':
      return { type, times, values: BigInt64Array.from(values, BigInt) }
    case 'unsigned':
      return { type, times, values: BigUint64Array.from(values, BigInt) }
    case 'boolean':
      return { type, times, values: Uint8Array.from(values, Number) }
    case 'string': {
      const texts = values.map((value) => Buffer.from(String(value), 'latin1'))
      return { type, times, values: stringColumn(texts) }
    }
  }
}

/** Returns value `i` of a block. */
export function valueAt(block: Block, i: number): Value {
  switch (block.type) {
    case 'boolean':
      return block.values[i] !== 0
    case 'string':
      return Buffer.from(stringAt(block.values, i)).toString('latin1')
    default:
      return block.values[i] ?? Number.NaN
  }
}

/** A series by names, which are latin1 text of their bytes. */
export interface Names {
  readonly measurement: string
  readonly tags: readonly (readonly [key: string, value: string])[]
}

const bytes = (text: string) => Buffer.from(text, 'latin1')

/** Returns the composite key of a field. */
export function keyOf({ measurement, tags }: Names, field: string): Uint8Array {
  const seriesKey = formatSeriesKey({
    measurement: bytes(measurement),
    tags: tags.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })),
  })
  return formatCompositeKey({ seriesKey, field: bytes(field) })
}

/** Gives the points of a key, split into blocks of `size`. */
export function fieldPoints(key: Uint8Array, points: Points, size = 1000): FieldPoints {
  async function* blocks() {
    for (let at = 0; at < points.times.length; at += size) {
      const times = points.times.slice(at, at + size)
      yield blockOf({ type: points.type, times, values: points.values.slice(at, at + size) })
    }
  }
  return { key, type: points.type, blocks: blocks() }
}

/** Gives items as a stream. */
export async function* stream<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}

/** Joins what an encoder gives. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const list: Uint8Array[] = []
  for await (const chunk of chunks) list.push(chunk)
  return Buffer.concat(list)
}
