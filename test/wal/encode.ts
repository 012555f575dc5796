import { snappyCompress } from 'hysnappy'

/** A value as tests write it, by type. */
export type Sample =
  | { readonly type: 'float'; readonly points: readonly (readonly [bigint, number])[] }
  | { readonly type: 'integer'; readonly points: readonly (readonly [bigint, bigint])[] }
  | { readonly type: 'unsigned'; readonly points: readonly (readonly [bigint, bigint])[] }
  | { readonly type: 'boolean'; readonly points: readonly (readonly [bigint, boolean])[] }
  | { readonly type: 'string'; readonly points: readonly (readonly [bigint, string])[] }

export type WriteRow = Sample & { readonly key: string }

const TYPES = { float: 1, integer: 2, boolean: 3, string: 4, unsigned: 5 }

/** The payload of a write entry: per key type, u16 key, u32 count, (i64 time, value) pairs, all big-endian. */
export function writePayload(rows: readonly WriteRow[]): Buffer {
  return Buffer.concat(rows.flatMap(encodeRow))
}

function encodeRow(row: WriteRow): Buffer[] {
  const key = Buffer.from(row.key)
  const head = Buffer.concat([Buffer.from([TYPES[row.type]]), u16(key.length), key])
  const pairs = row.points.map(([time, value]) =>
    Buffer.concat([i64(time), encode(row.type, value)]),
  )
  return [head, u32(row.points.length), ...pairs]
}

function encode(type: Sample['type'], value: number | bigint | boolean | string): Buffer {
  if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0])
  if (typeof value === 'number') return f64(value)
  if (typeof value === 'bigint') return type === 'unsigned' ? u64(value) : i64(value)
  const text = Buffer.from(value)
  return Buffer.concat([u32(text.length), text])
}

/** One entry of a segment: type byte, u32 length, snappy block. */
export function entry(type: number, payload: Uint8Array): Buffer {
  const block = snappyCompress(payload)
  return Buffer.concat([Buffer.from([type]), u32(block.length), block])
}

export function writeEntry(...rows: readonly WriteRow[]): Buffer {
  return entry(1, writePayload(rows))
}

export function deleteEntry(...keys: readonly string[]): Buffer {
  return entry(2, Buffer.from(keys.join('\n')))
}

export function deleteRangeEntry(min: bigint, max: bigint, ...keys: readonly string[]): Buffer {
  const parts = keys.map((key) => Buffer.from(key)).flatMap((key) => [u32(key.length), key])
  return entry(3, Buffer.concat([i64(min), i64(max), ...parts]))
}

function filled(size: number, fill: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(size)
  fill(bytes)
  return bytes
}

const u16 = (value: number) => filled(2, (bytes) => bytes.writeUInt16BE(value))
const u32 = (value: number) => filled(4, (bytes) => bytes.writeUInt32BE(value))
const u64 = (value: bigint) => filled(8, (bytes) => bytes.writeBigUInt64BE(value))
const i64 = (value: bigint) => filled(8, (bytes) => bytes.writeBigInt64BE(value))
const f64 = (value: number) => filled(8, (bytes) => bytes.writeDoubleBE(value))
