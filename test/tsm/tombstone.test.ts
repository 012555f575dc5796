import { gzipSync } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeTombstones, encodeTombstones, type Tombstone } from '../../src/tsm/tombstone.ts'
import { MAX_TIME, MIN_TIME } from '../../src/tsm/values.ts'
import { runs } from './arbitraries.ts'
import { all, inPieces } from './files.ts'
import { word } from './reference/words.ts'

const time = fc.bigInt(MIN_TIME, MAX_TIME)
const tombstone = fc
  .tuple(fc.string({ maxLength: 20 }), time, time)
  .map(([name, minTime, maxTime]) => ({ key: Buffer.from(`${name}#!~#v`), minTime, maxTime }))
const list = fc.array(tombstone, { maxLength: 20 })

const decode = (bytes: Uint8Array, size = 7) =>
  all(decodeTombstones(inPieces(bytes, size), 'x.tombstone'))
const plain = (tombstones: readonly Tombstone[]) =>
  tombstones.map(({ key, ...rest }) => ({ ...rest, key: Buffer.from(key).toString() }))

describe.each([2, 3, 4] as const)('version %d', (version) => {
  test.prop({ list, size: fc.integer({ min: 1, max: 50 }) }, runs(100))(
    'gives back any tombstones, whatever pieces they come in',
    async ({ list, size }) => {
      const decoded = await decode(encodeTombstones(list, version), size)
      expect(plain(decoded)).toEqual(plain(list))
    },
  )
})

const key = [...Buffer.from('m#!~#v')]
const record = [0, 0, 0, 6, ...key, ...word(2n ** 64n - 5n), ...word(9n)]
const expected = [{ key: 'm#!~#v', minTime: -5n, maxTime: 9n }]

describe('literals of the format', () => {
  it('version 1 is keys, one a line, deleted for all of time', async () => {
    const always = { minTime: MIN_TIME, maxTime: MAX_TIME }
    const decoded = await decode(
      Buffer.from('a#!~#x\n\r\n\nb c#!~#y\r\nd#!~#z'.replace('\n\r\n', '\n')),
    )
    expect(plain(decoded)).toEqual(
      ['a#!~#x', 'b c#!~#y', 'd#!~#z'].map((k) => ({ ...always, key: k })),
    )
  })

  it.each([0, 1, 3])('a file of %d bytes is of version 1', async (length) => {
    const bytes = Buffer.from('a#!'.slice(0, length))
    if (length === 0) expect(await decode(bytes)).toEqual([])
    else await expect(decode(bytes)).rejects.toThrow('neither a tombstone file')
  })

  it('version 2 is records', async () => {
    expect(plain(await decode(Uint8Array.from([0, 0, 0x15, 2, ...record])))).toEqual(expected)
    expect(await decode(Uint8Array.from([0, 0, 0x15, 2]))).toEqual([])
  })

  it('version 3 is records in gzip', async () => {
    const member = gzipSync(Uint8Array.from(record))
    expect(plain(await decode(Buffer.concat([Uint8Array.of(0, 0, 0x15, 3), member])))).toEqual(
      expected,
    )
  })

  it('version 4 is one gzip member after another', async () => {
    const member = gzipSync(Uint8Array.from(record))
    const bytes = Buffer.concat([Uint8Array.of(0, 0, 0x15, 4), member, gzipSync(''), member])
    expect(plain(await decode(bytes))).toEqual([...expected, ...expected])
    expect(await decode(Uint8Array.of(0, 0, 0x15, 4))).toEqual([])
  })

  it('the highest bit of a length says prefix', async () => {
    const prefix = { key: Buffer.from('m'), prefix: true, minTime: 1n, maxTime: 2n }
    const decoded = await decode(encodeTombstones([prefix]))
    expect(plain(decoded)).toEqual([{ ...prefix, key: 'm' }])
    expect(() => encodeTombstones([prefix], 3)).toThrow('have no prefixes')
  })
})

describe('refuses', () => {
  const v4 = (...members: Uint8Array[]) => Buffer.concat([Uint8Array.of(0, 0, 0x15, 4), ...members])
  it.each([
    ['a record that is cut', Uint8Array.from([0, 0, 0x15, 2, ...record.slice(0, -1)]), 'is cut'],
    ['a record cut in gzip', v4(gzipSync(Uint8Array.from(record.slice(0, 9)))), 'is cut'],
    ['a key longer than any', Uint8Array.from([0, 0, 0x15, 2, 0, 1, 0, 0]), 'a key of 65536 bytes'],
    ['a predicate', Uint8Array.from([0, 0, 0x15, 2, 0xc0, 0, 0, 1]), 'a key of 1073741825 bytes'],
    ['gzip that is cut', v4(gzipSync(Uint8Array.from(record)).subarray(0, -1)), 'x.tombstone'],
    ['what is no gzip', v4(Buffer.from('hello')), 'incorrect header'],
    [
      'zeros after gzip',
      v4(gzipSync(Uint8Array.from(record)), Buffer.alloc(4)),
      'bytes after the last',
    ],
    ['junk after gzip', v4(gzipSync(Uint8Array.from(record)), Buffer.from('junk')), 'x.tombstone'],
    ['text that is no key', Buffer.from('hello\n'), 'neither a tombstone file'],
    ['a line without end', Buffer.alloc(70_000, 'x'), 'neither a tombstone file'],
  ])('%s', async (_, bytes, message) => {
    await expect(decode(bytes, 1000)).rejects.toThrow(SnapError)
    await expect(decode(bytes, 1000)).rejects.toThrow(message)
  })

  it('with the error of its source, untouched', async () => {
    const cut = new SnapError('E_CUT', 'the line went dead')
    async function* broken() {
      yield encodeTombstones([{ key: Buffer.from('m#!~#v'), minTime: 1n, maxTime: 2n }]).subarray(
        0,
        20,
      )
      throw cut
    }
    await expect(all(decodeTombstones(broken(), 'x'))).rejects.toBe(cut)
  })
})

it('closes its source when nobody reads on', async () => {
  let closed = 0
  async function* source() {
    try {
      const tombstone = { key: Buffer.alloc(60_000, 'm'), minTime: 1n, maxTime: 2n }
      yield* inPieces(encodeTombstones(Array(100).fill(tombstone)), 100)
    } finally {
      closed++
    }
  }
  for await (const { key } of decodeTombstones(source(), 'x')) {
    expect(key.length).toBe(60_000)
    break
  }
  expect(closed).toBe(1)
})

test.prop(
  {
    version: fc.constantFrom(2 as const, 3 as const, 4 as const),
    cut: fc.nat({ max: 60 }),
    flip: fc.nat({ max: 3000 }),
  },
  runs(300),
)(
  'ends in a SnapError or tombstones when its bytes are cut or flipped',
  async ({ version, cut, flip }) => {
    const tombstones = [1n, 2n, 3n].map((t) => ({
      key: Buffer.from(`m,k=${t}#!~#v`),
      minTime: t,
      maxTime: t,
    }))
    const bytes = encodeTombstones(tombstones, version).slice(0, -cut || undefined)
    const at = flip % (bytes.length * 8)
    bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7))
    await decode(bytes).then(
      (decoded) => expect(decoded.length).toBeLessThanOrEqual(3),
      (error) => expect(error).toBeInstanceOf(SnapError),
    )
  },
)
