import { create } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import type { Data } from '../../src/meta/index.ts'
import {
  decodeData,
  emptyData,
  encodeData,
  listShards,
  MAX_META_SIZE,
} from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import { arbitraryData, sampleData } from './samples.ts'

/** meta.db of an influxd 1.6.7 that was started once on an empty directory. */
const FRESH = Buffer.from('0800100118e78496d7abc1e1d92f380040004800', 'hex')

function errorOf(run: () => unknown): SnapError {
  try {
    run()
  } catch (error) {
    if (error instanceof SnapError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

function writeNumbers(writer: BinaryWriter, fields: readonly number[]): BinaryWriter {
  for (const field of fields) writer.tag(field, WireType.Varint).uint64(1n)
  return writer
}

/** Bytes that the last field of the sample takes at its end. */
function encodedNodes(data: Data): number {
  const whole = encodeData(data).length
  data.metaNodes = []
  return whole - encodeData(data).length
}

const REQUIRED = [1, 2, 3, 7, 8, 9]

describe('decodeData', () => {
  it('reads the store of a brand new influxd and writes the same bytes', () => {
    const data = decodeData(FRESH)
    expect(data).toMatchObject({ term: 0n, index: 1n, clusterId: 3437238321257218663n })
    expect(data.databases).toEqual([])
    expect(Buffer.from(encodeData(data))).toEqual(FRESH)
  })

  it('gives back every field that was encoded', () => {
    const data = sampleData()
    expect(decodeData(encodeData(data))).toEqual(data)
  })

  it('gives back any store', () => {
    fc.assert(
      fc.property(arbitraryData, (data) => {
        expect(decodeData(encodeData(data))).toEqual(data)
      }),
      { numRuns: process.env['SLOW'] === '1' ? 2000 : 60 },
    )
  })

  it('keeps unknown fields, nested ones too', () => {
    const database = new BinaryWriter()
    database.tag(1, WireType.LengthDelimited).string('db')
    database.tag(2, WireType.LengthDelimited).string('')
    database.tag(900, WireType.LengthDelimited).string('later')
    const writer = writeNumbers(new BinaryWriter(), REQUIRED)
    writer.tag(5, WireType.LengthDelimited).bytes(database.finish())
    writer.tag(901, WireType.Bit64).fixed64(7n)
    const bytes = writer.finish()
    const again = decodeData(encodeData(decodeData(bytes)))
    expect(again.$unknown?.map(({ no }) => no)).toEqual([901])
    expect(again.databases[0]?.$unknown?.map(({ no }) => no)).toEqual([900])
  })

  it.each(REQUIRED)('refuses a store without its required field %i', (field) => {
    const bytes = writeNumbers(
      new BinaryWriter(),
      REQUIRED.filter((other) => other !== field),
    ).finish()
    const error = errorOf(() => decodeData(bytes, 'meta.db'))
    expect(error.code).toBe('E_FORMAT')
    expect(error.message).toMatch(/^meta\.db: offset \d+: .* is missing$/)
  })

  it('refuses a wrong wire type where protobuf-es would read on', () => {
    const writer = new BinaryWriter().tag(1, WireType.Bit32).fixed32(1)
    const error = errorOf(() => decodeData(writeNumbers(writer, REQUIRED.slice(1)).finish()))
    expect(error.message).toMatch(/has wire type 5, expected 0/)
  })

  it('refuses a nested message that is longer than what holds it', () => {
    const bytes = encodeData(sampleData()).slice()
    const writer = writeNumbers(new BinaryWriter(), REQUIRED).finish()
    const cut = Buffer.concat([writer, Buffer.from([0x2a, 0x05, 0x0a, 0x01])])
    expect(errorOf(() => decodeData(cut)).message).toMatch(/premature EOF/)
    const inner = Buffer.concat([writer, Buffer.from([0x2a, 0x02, 0x0a, 0x7f]), bytes])
    expect(errorOf(() => decodeData(inner)).message).toMatch(/premature EOF/)
    const deep = Buffer.concat([writer, Buffer.from([0x2a, 0x02, 0x1a, 0x7f]), bytes])
    expect(errorOf(() => decodeData(deep)).message).toMatch(/premature EOF/)
  })

  it('takes the older owners packed or one by one, and nothing that runs over', () => {
    const store = (shard: readonly number[]) => {
      const wrap = (tag: number, ...inner: readonly number[]) => [tag, inner.length, ...inner]
      const group = [8, 1, 16, 0, 24, 0, 32, 0, ...wrap(0x2a, ...shard)]
      const policy = [...wrap(0x0a, 97), 16, 0, 24, 0, 32, 1, ...wrap(0x2a, ...group)]
      const database = [...wrap(0x0a, 97), ...wrap(0x12), ...wrap(0x1a, ...policy)]
      const required = writeNumbers(new BinaryWriter(), REQUIRED).finish()
      return Buffer.concat([required, Buffer.from(wrap(0x2a, ...database))])
    }
    const [shard] = listShards(decodeData(store([8, 1, 0x12, 2, 5, 6, 0x10, 7])))
    expect(shard?.shard.ownerIds).toEqual([5n, 6n, 7n])
    expect(errorOf(() => decodeData(store([8, 1, 0x12, 1, 0x85]))).message).toMatch(/premature EOF/)
  })

  it.each([
    ['invalid UTF-8', Buffer.from([0xff]), /no valid UTF-8/],
    ['a byte order mark', Buffer.from('\ufeffdb'), /byte order mark/],
  ])('refuses a name with %s instead of changing it', (_what, name, message) => {
    const database = new BinaryWriter()
    database.tag(1, WireType.LengthDelimited).bytes(name)
    database.tag(2, WireType.LengthDelimited).string('')
    const writer = writeNumbers(new BinaryWriter(), REQUIRED)
    const bytes = writer.tag(5, WireType.LengthDelimited).bytes(database.finish()).finish()
    expect(errorOf(() => decodeData(bytes)).message).toMatch(message)
  })

  it('refuses what the library refuses with the same code', () => {
    const bytes = Buffer.concat([
      writeNumbers(new BinaryWriter(), REQUIRED.slice(1)).finish(),
      Buffer.from([0x08, ...new Array(11).fill(0x80), 0x01]),
    ])
    expect(errorOf(() => decodeData(bytes)).code).toBe('E_FORMAT')
  })

  it('refuses more than 64 MiB without looking at it', () => {
    const error = errorOf(() => decodeData(new Uint8Array(MAX_META_SIZE + 1)))
    expect(error.code).toBe('E_FORMAT')
    expect(error.message).toMatch(/67108865 bytes, expected at most 67108864/)
  })

  it('ends in an error or a store for every truncation and every flipped bit', () => {
    const bytes = encodeData(sampleData())
    const boundaries = new Set([bytes.length - encodedNodes(sampleData())])
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = bytes.subarray(0, length)
      // Cut between two top-level fields, what is left is a whole store with less in it.
      if (boundaries.has(length)) expect(encodeData(decodeData(cut))).toEqual(cut)
      else expect(errorOf(() => decodeData(cut)).code).toBe('E_FORMAT')
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        encodeData(decodeData(flipped))
      } catch (error) {
        expect(error).toBeInstanceOf(SnapError)
      }
    }
  })
})

describe('encodeData', () => {
  it('refuses a store that lacks a required field', () => {
    expect(errorOf(() => encodeData(create(DataSchema, { term: 1n }))).code).toBe('E_FORMAT')
  })

  it('refuses to write more than it reads', () => {
    const data = emptyData()
    data.databases = sampleData().databases.slice(0, 1)
    const [database] = data.databases
    if (database !== undefined) database.name = 'x'.repeat(MAX_META_SIZE)
    expect(errorOf(() => encodeData(data)).message).toMatch(/when encoded, expected at most/)
  })
})

describe('emptyData', () => {
  it('is what a brand new influxd writes, but for the cluster id', () => {
    const data = emptyData()
    expect(data.clusterId).toBeLessThan(1n << 63n)
    expect(data.clusterId).not.toBe(emptyData().clusterId)
    data.clusterId = 3437238321257218663n
    expect(Buffer.from(encodeData(data))).toEqual(FRESH)
  })
})
