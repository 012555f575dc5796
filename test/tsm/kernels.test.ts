import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { MAX_BLOCK_VALUES } from '../../src/tsm/format.ts'
import {
  decodeWords,
  encodeWords,
  isAscending,
  mergeTimes,
  sortTimes,
} from '../../src/tsm/kernels/kernels.ts'
import { runs } from './arbitraries.ts'
import * as reference from './reference/words.ts'

const MAX = 2n ** 63n - 1n
const MIN = -(2n ** 63n)

// steps of every width, alone and in runs, so that every selector and every encoding is met
const step = fc.oneof(
  fc.constant(1n),
  fc.integer({ min: 0, max: 62 }).chain((bits) => fc.bigInt(0n, 2n ** BigInt(bits))),
)
const steps = fc
  .array(fc.tuple(step, fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }))), {
    maxLength: 12,
  })
  .map((parts) => parts.flatMap(([value, count]) => Array<bigint>(count).fill(value)))

const integers = fc
  .tuple(fc.bigInt(MIN, MAX), fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), steps)
  .map(([first, signs, deltas]) => {
    let value = first
    return [
      first,
      ...deltas.map((delta, i) => {
        value = BigInt.asIntN(64, value + (signs[i % signs.length] ? -delta : delta))
        return value
      }),
    ]
  })

const times = fc
  .tuple(fc.bigInt(MIN, MAX), fc.integer({ min: 0, max: 14 }), steps)
  .map(([first, exponent, deltas]) => {
    let value = first
    const scaled = deltas.map((delta) => (delta + 1n) * 10n ** BigInt(exponent))
    return [first, ...scaled.map((delta) => (value = BigInt.asIntN(64, value + delta)))]
  })

const bits = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc
    .double({ noNaN: true })
    .map((value) => new BigUint64Array(Float64Array.of(value).buffer)[0] ?? 0n),
  fc
    .integer({ min: -20, max: 20 })
    .map((v) => new BigUint64Array(Float64Array.of(v / 4).buffer)[0] ?? 0n),
)
const floats = fc
  .array(fc.tuple(bits, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 200 })
  .map((parts) => parts.flatMap(([value, count]) => Array<bigint>(count).fill(value)))
  .map((all) =>
    all.filter((value) => !Number.isNaN(new Float64Array(BigUint64Array.of(value).buffer)[0])),
  )
  .filter((all) => all.length > 0)

describe('the kernels agree with the reference', () => {
  test.prop({ values: times }, runs(200))('on times', ({ values }) => {
    const encoded = encodeWords('encodeTimes', BigInt64Array.from(values), 'x')
    expect([...encoded]).toEqual(reference.encodeTimes(values))
    expect([...new BigInt64Array(decodeWords('decodeTimes', encoded, 'x'))]).toEqual(values)
    expect(reference.decodeTimes(encoded)).toEqual(values)
  })

  test.prop({ values: integers }, runs(200))('on integers', ({ values }) => {
    const encoded = encodeWords('encodeIntegers', BigInt64Array.from(values), 'x')
    expect([...encoded]).toEqual(reference.encodeIntegers(values))
    expect([...new BigInt64Array(decodeWords('decodeIntegers', encoded, 'x'))]).toEqual(values)
    expect(reference.decodeIntegers(encoded)).toEqual(values)
  })

  test.prop({ values: floats }, runs(200))('on floats', ({ values }) => {
    const column = new Float64Array(BigUint64Array.from(values).buffer)
    const encoded = encodeWords('encodeFloats', column, 'x')
    expect([...encoded]).toEqual(reference.encodeFloats(values))
    expect([...new BigUint64Array(decodeWords('decodeFloats', encoded, 'x'))]).toEqual(values)
    expect(reference.decodeFloats(encoded)).toEqual(values)
  })

  test.prop({ list: fc.array(fc.bigInt(-40n, 40n), { maxLength: 120 }) }, runs(200))(
    'on the order of times',
    ({ list }) => {
      const last = new Map(list.map((time, i) => [time, i]))
      const order = [...last].sort(([a], [b]) => Number(a - b)).map(([, i]) => i)
      expect([...sortTimes(BigInt64Array.from(list))]).toEqual(order)
      const ascending = list.every((time, i) => i === 0 || (list[i - 1] ?? time) < time)
      expect(isAscending(BigInt64Array.from(list))).toBe(ascending)
    },
  )

  const ascending = fc
    .uniqueArray(fc.bigInt(-60n, 60n))
    .map((list) => list.sort((a, b) => Number(a - b)))
  test.prop({ older: ascending, newer: ascending }, runs(200))('on merging', ({ older, newer }) => {
    const order = mergeTimes(BigInt64Array.from(older), BigInt64Array.from(newer))
    const last = new Map([...older, ...newer].map((time, i) => [time, i]))
    expect([...order]).toEqual([...last].sort(([a], [b]) => Number(a - b)).map(([, i]) => i))
  })
})

describe('literals of the format', () => {
  const decode = (kernel: Parameters<typeof decodeWords>[0], bytes: number[]) => [
    ...new BigInt64Array(decodeWords(kernel, Uint8Array.from(bytes), 'x')),
  ]

  it.each([
    ['raw times', 'decodeTimes', [0, ...reference.word(5n), ...reference.word(2n)], [5n, 7n]],
    [
      'scaled times',
      'decodeTimes',
      [0x13, ...reference.word(1n), ...reference.word((15n << 60n) | 9n)],
      [1n, 9001n],
    ],
    ['a run of times', 'decodeTimes', [0x21, ...reference.word(4n), 2, 3], [4n, 24n, 44n]],
    ['one time', 'decodeTimes', [0x1c, ...reference.word(4n)], [4n]],
    [
      'raw integers',
      'decodeIntegers',
      [0, ...reference.word(1n), ...reference.word(4n)],
      [-1n, 1n],
    ],
    [
      'packed integers',
      'decodeIntegers',
      [0x10, ...reference.word(3n), ...reference.word((14n << 60n) | (3n << 30n) | 2n)],
      [-2n, -1n, -3n],
    ],
    ['a run of integers', 'decodeIntegers', [0x20, ...reference.word(1n), 4, 2], [-1n, 1n, 3n]],
  ] as const)('%s', (_, kernel, bytes, expected) => {
    expect(decode(kernel, [...bytes])).toEqual(expected)
  })

  it('120 and 240 ones in a word of zeros but for the selector', () => {
    const bytes = [0x10, ...reference.word(0n), ...reference.word(0n), ...reference.word(1n << 60n)]
    const values = decode('decodeTimes', bytes)
    expect(values).toEqual(Array.from({ length: 361 }, (_, i) => BigInt(i)))
  })
})

describe('what is no column', () => {
  const { word, varint } = reference
  it.each([
    ['nothing', 'decodeTimes', [], 'ends inside'],
    ['nothing', 'decodeIntegers', [], 'ends inside'],
    ['nothing', 'decodeFloats', [], 'ends inside'],
    ['an unknown encoding of times', 'decodeTimes', [0x30, ...word(0n)], 'unknown encoding'],
    ['an unknown encoding of integers', 'decodeIntegers', [0x30, ...word(0n)], 'unknown encoding'],
    ['an unknown encoding of floats', 'decodeFloats', [0x20, ...word(0n)], 'unknown encoding'],
    ['half a raw time', 'decodeTimes', [0, 1, 2, 3], 'ends inside'],
    ['half a raw integer', 'decodeIntegers', [0, 1, 2, 3], 'ends inside'],
    ['half a first time', 'decodeTimes', [0x10, 1], 'ends inside'],
    ['half a first integer', 'decodeIntegers', [0x20, 1], 'ends inside'],
    ['half a word of times', 'decodeTimes', [0x10, ...word(0n), 1], 'ends inside'],
    ['half a word of integers', 'decodeIntegers', [0x10, ...word(0n), 1], 'ends inside'],
    ['a run of times without delta', 'decodeTimes', [0x20, ...word(0n)], 'varint'],
    ['a run of times without count', 'decodeTimes', [0x20, ...word(0n), 1], 'varint'],
    ['a run of integers without delta', 'decodeIntegers', [0x20, ...word(0n), 0x80], 'varint'],
    ['a run of integers without count', 'decodeIntegers', [0x20, ...word(0n), 1], 'varint'],
    ['a varint of 65 bits', 'decodeTimes', [0x20, ...word(0n), ...varint(2n ** 64n), 1], 'varint'],
    ['bytes after a run of times', 'decodeTimes', [0x20, ...word(0n), 1, 1, 0], 'after the last'],
    [
      'bytes after a run of integers',
      'decodeIntegers',
      [0x20, ...word(0n), 1, 1, 0],
      'after the last',
    ],
    [
      'a run of 2^64 - 1 times',
      'decodeTimes',
      [0x20, ...word(0n), 1, ...varint(2n ** 64n - 1n)],
      'more than',
    ],
    [
      'a run of 2^64 - 1 integers',
      'decodeIntegers',
      [0x20, ...word(0n), 1, ...varint(2n ** 64n - 1n)],
      'more than',
    ],
    ['floats without an end', 'decodeFloats', [0x10, ...word(1n), 0], 'ends inside'],
    ['floats cut in a window', 'decodeFloats', [0x10, ...word(1n), 0xc1, 0xf8], 'ends inside'],
    ['a window of 90 bits', 'decodeFloats', [0x10, ...word(1n), 0xff, 0xff, ...word(0n)], 'window'],
  ] as const)('%s: %s', (_, kernel, bytes, message) => {
    expect(() => decodeWords(kernel, Uint8Array.from(bytes), 'here')).toThrow(SnapError)
    expect(() => decodeWords(kernel, Uint8Array.from(bytes), 'here')).toThrow(message)
  })

  it.each(['decodeTimes', 'decodeIntegers', 'decodeFloats'] as const)(
    'too much for %s',
    (kernel) => {
      const words = new Uint8Array(1 + 8 * (MAX_BLOCK_VALUES + 1))
      if (kernel === 'decodeFloats') words[0] = 0x10
      expect(() => decodeWords(kernel, words, 'x')).toThrow('more than')
      // words of 240 ones
      words[0] = 0x10
      expect(() => decodeWords(kernel, words, 'x')).toThrow('more than')
      expect(() => decodeWords(kernel, new Uint8Array(2 ** 24), 'x')).toThrow('more than')
    },
  )

  it('NaN, which is refused at any place', () => {
    for (const values of [[Number.NaN], [1, Number.NaN], [1, Number.NaN, 2]]) {
      expect(() => encodeWords('encodeFloats', Float64Array.from(values), 'x')).toThrow('NaN')
    }
  })

  it('nothing, and more than a block may hold', () => {
    expect(() => encodeWords('encodeTimes', new BigInt64Array(0), 'x')).toThrow('0 values')
    const many = new BigInt64Array(MAX_BLOCK_VALUES + 1)
    expect(() => encodeWords('encodeIntegers', many, 'x')).toThrow('expected 1 to')
  })
})

describe('the largest columns', () => {
  it('fit', () => {
    const noise = new BigUint64Array(MAX_BLOCK_VALUES)
    let seed = 1n
    for (let i = 0; i < noise.length; i += 4096) {
      seed = BigInt.asUintN(62, seed * 6_364_136_223_846_793_005n + 1n)
      noise.fill(seed, i, i + 2048)
    }
    const floats = new Float64Array(noise.buffer)
    const encoded = encodeWords('encodeFloats', floats, 'x')
    expect(
      Buffer.from(decodeWords('decodeFloats', encoded, 'x')).equals(Buffer.from(noise.buffer)),
    ).toBe(true)
    const integers = encodeWords('encodeIntegers', noise, 'x')
    expect(
      Buffer.from(decodeWords('decodeIntegers', integers, 'x')).equals(Buffer.from(noise.buffer)),
    ).toBe(true)
  })

  it('are sorted and merged beyond what a block holds', () => {
    const count = 2 * MAX_BLOCK_VALUES
    const down = BigInt64Array.from({ length: count }, (_, i) => BigInt(count - i))
    const order = sortTimes(down)
    expect([order.length, order[0], order.at(-1)]).toEqual([count, count - 1, 0])
    const up = down.slice().reverse()
    expect(mergeTimes(up, up).length).toBe(count)
    expect(isAscending(up)).toBe(true)
  })
})

it('the embedded module is what its source compiles to', async () => {
  const script = join(import.meta.dirname, '../../scripts/build-kernels.mjs')
  await promisify(execFile)(process.execPath, [script, '--check'])
})
