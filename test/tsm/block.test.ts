import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeBlock, encodeBlock } from '../../src/tsm/block.ts'
import { stringColumn } from '../../src/tsm/values.ts'
import { blockOf, runs, someBlock, TYPES } from './arbitraries.ts'
import { valueAt } from './fixtures.ts'
import { word } from './reference/words.ts'

test.prop({ block: someBlock(300) }, runs(200))('gives back any block', ({ block }) => {
  expect(decodeBlock(encodeBlock(block))).toEqual(block)
})

it('keeps every bit of a float', () => {
  const values = Float64Array.of(-0, Number.POSITIVE_INFINITY, 5e-324, Number.MAX_VALUE)
  const times = BigInt64Array.of(1n, 2n, 3n, 4n)
  const decoded = decodeBlock(encodeBlock({ type: 'float', times, values }))
  expect(decoded.values).toEqual(values)
  expect(Object.is(valueAt(decoded, 0), -0)).toBe(true)
})

describe('encodes literals of the format', () => {
  const times = BigInt64Array.of(1000n, 2000n)
  const encodedTimes = [0x23, ...word(1000n), 1, 2]
  it.each([
    [
      'integers',
      { type: 'integer', times, values: BigInt64Array.of(-1n, 1n) },
      1,
      [0x10, ...word(1n), ...word((15n << 60n) | 4n)],
    ],
    ['booleans', { type: 'boolean', times, values: Uint8Array.of(1, 0) }, 2, [0x10, 2, 0x80]],
    [
      'strings',
      { type: 'string', times, values: stringColumn([Buffer.from('a'), Buffer.from('b')]) },
      3,
      [0x10, 4, 12, 1, 97, 1, 98],
    ],
    [
      'unsigned',
      { type: 'unsigned', times, values: BigUint64Array.of(1n, 1n) },
      4,
      [0x10, ...word(2n), ...word(15n << 60n)],
    ],
  ] as const)('%s', (_, block, code, values) => {
    expect([...encodeBlock(block)]).toEqual([code, encodedTimes.length, ...encodedTimes, ...values])
  })
})

describe('refuses to decode', () => {
  const one = [0x1c, ...word(7n)]
  it.each([
    ['nothing', [], 'here: block type undefined'],
    ['an unknown type', [9, 1, 0], 'block type 9'],
    ['no length of times', [0], 'times are cut'],
    ['times that are cut', [0, 12, 1, 2], 'times are cut'],
    ['no points', [0, 1, 0, 0x10], 'no points'],
    ['fewer values than times', [1, 11, 0x20, ...word(7n), 1, 2, ...one], '1 values, expected 2'],
    [
      'more values than times',
      [1, one.length, ...one, 0, ...word(1n), ...word(1n)],
      '2 values, expected 1',
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => decodeBlock(Uint8Array.from(bytes), 'here')).toThrow(message)
  })
})

describe('refuses to encode', () => {
  it('times that do not ascend', () => {
    for (const times of [
      [2n, 1n],
      [1n, 1n],
    ]) {
      expect(() => encodeBlock(blockOf('float', times, 1), 'here')).toThrow(
        'here: times do not ascend',
      )
    }
  })

  it('no points', () => {
    expect(() => encodeBlock(blockOf('integer', [], 1), 'here')).toThrow('0 values')
  })
})

test.prop(
  {
    type: fc.constantFrom(...TYPES),
    cut: fc.oneof(fc.constant(0), fc.nat({ max: 400 })),
    flips: fc.array(fc.nat({ max: 20_000 }), { maxLength: 3 }),
  },
  runs(500),
)('ends in a SnapError or a block when its bytes are cut or flipped', ({ type, cut, flips }) => {
  const list = Array.from({ length: 60 }, (_, i) => BigInt(i * 10 + (i % 3)))
  const bytes = encodeBlock(blockOf(type, list, 3))
  const damaged = bytes.slice(0, bytes.length - (cut % bytes.length))
  for (const flip of flips) {
    const at = flip % (damaged.length * 8)
    damaged[at >> 3] = (damaged[at >> 3] ?? 0) ^ (1 << (at & 7))
  }
  try {
    const { times } = decodeBlock(damaged)
    expect(times.length).toBeGreaterThan(0)
  } catch (error) {
    expect(error).toBeInstanceOf(SnapError)
  }
})
