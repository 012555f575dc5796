import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { decodeBlock, encodeBlock } from '../../src/tsm/block.ts'
import { formatFingerprint, PointSum } from '../../src/tsm/fingerprint.ts'
import { type FieldType, fieldTypeCode } from '../../src/tsm/format.ts'
import { encodeWords } from '../../src/tsm/kernels/kernels.ts'
import {
  type Block,
  rangeOf,
  sliceBlock,
  stringColumn,
  type TimeRange,
} from '../../src/tsm/values.ts'
import { ROOT } from '../helpers/sources.ts'
import { blockOf, runs, someBlock, TYPES } from './arbitraries.ts'
import { fingerprintOf, type Point, wordOf, xxh64 } from './reference/fingerprint.ts'
import * as words from './reference/words.ts'

const KEY = Buffer.from('cpu,host=a#!~#usage')

function sumOf(...parts: readonly (readonly [key: Uint8Array, block: Block])[]): string {
  const sum = new PointSum()
  for (const [key, block] of parts) {
    sum.begin(key, block.type)
    sum.add(block)
  }
  return formatFingerprint(sum.fingerprint)
}

function pointsOf(key: Uint8Array, block: Block): Point[] {
  const type = fieldTypeCode(block.type)
  return Array.from(block.times, (time, i) => ({ key, type, time, value: wordOf(block, i) }))
}

const anyWord = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.bigInt(0n, 9n),
  // infinities, the extremes of signed integers, and -0
  ...[0x7ffn << 52n, 0xfffn << 52n, 2n ** 63n - 1n, 2n ** 63n].map((word) => fc.constant(word)),
)
const spread = fc.tuple(fc.bigInt(-(2n ** 63n), 0n), fc.bigInt(1n, 2n ** 57n))
const strings = fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 20 })
// some of them often, and some that differ in length alone, about the lengths that are hashed in words
const repeated = fc.array(
  fc.oneof(
    fc.nat({ max: 18 }).map((length) => new Uint8Array(length)),
    fc.nat({ max: 99 }).map((n) => Buffer.from(`state ${n}`)),
    fc.nat({ max: 18 }).map((length) => Buffer.from('a state that is long').subarray(0, length)),
    fc.uint8Array({ maxLength: 40 }),
  ),
  { minLength: 1, maxLength: 300 },
)

describe('the kernel agrees with the reference', () => {
  test.prop(
    { key: fc.uint8Array({ minLength: 1, maxLength: 80 }), block: someBlock(40) },
    runs(200),
  )('on any key and any block', ({ key, block }) => {
    expect(sumOf([key, block])).toBe(fingerprintOf(pointsOf(key, block)))
  })

  test.prop({ values: strings, seed: fc.nat({ max: 9 }) }, runs(100))(
    'on strings of any length, in a column that is a part of another',
    ({ values, seed }) => {
      const times = BigInt64Array.from(values, (_, i) => BigInt(seed + i))
      const whole: Block = { type: 'string', times, values: stringColumn(values) }
      const part = sliceBlock(whole, 1, values.length)
      expect(sumOf([KEY, part])).toBe(fingerprintOf(pointsOf(KEY, whole).slice(1)))
    },
  )

  it('on more points than go into its memory at once', () => {
    for (const type of TYPES) {
      const times = Array.from({ length: 40_000 }, (_, i) => BigInt(i) * 7n)
      const block = blockOf(type, times, 3)
      expect(sumOf([KEY, block])).toBe(fingerprintOf(pointsOf(KEY, block)))
    }
  })

  it('on a string longer than its memory', () => {
    const long = new Uint8Array(20_000_000).fill(7)
    long[19_999_999] = 8
    const block: Block = {
      type: 'string',
      times: BigInt64Array.of(1n),
      values: stringColumn([long]),
    }
    const other = { ...block, values: stringColumn([long.fill(7)]) }
    expect(sumOf([KEY, block])).not.toBe(sumOf([KEY, other]))
  })
})

describe('an encoded block', () => {
  const addEncoded = (bytes: Uint8Array, type: FieldType, times: TimeRange) => {
    const sum = new PointSum()
    sum.begin(KEY, type)
    const added = sum.addEncoded(bytes, times)
    return { added, points: sum.points, fingerprint: formatFingerprint(sum.fingerprint) }
  }
  const NOTHING = { added: false, points: 0, fingerprint: '0'.repeat(32) }

  test.prop({ block: someBlock(60), at: fc.nat(), bit: fc.nat({ max: 7 }) }, runs(500))(
    'is added as it decodes, or not at all',
    ({ block, at, bit }) => {
      const { type, times } = block
      const bytes = encodeBlock(block)
      const expected = { added: true, points: times.length, fingerprint: sumOf([KEY, block]) }
      expect(addEncoded(bytes, type, rangeOf(block))).toEqual(expected)
      const { minTime, maxTime } = rangeOf(block)
      expect(addEncoded(bytes, type, { minTime: minTime - 1n, maxTime })).toEqual(NOTHING)
      expect(addEncoded(bytes, type, { minTime, maxTime: maxTime + 1n })).toEqual(NOTHING)
      const index = at % bytes.length
      bytes[index] = (bytes[index] ?? 0) ^ (1 << bit)
      const damaged = addEncoded(bytes, type, rangeOf(block))
      if (!damaged.added) expect(damaged).toEqual(NOTHING)
      else {
        const decoded = decodeBlock(bytes)
        const fingerprint = sumOf([KEY, { ...decoded, type } as Block])
        expect(damaged).toEqual({ added: true, points: decoded.times.length, fingerprint })
      }
    },
  )

  it('that is cut, or longer than any, is not added', () => {
    for (const type of TYPES) {
      const block = blockOf(type, [1n, 5n, 9n], 1)
      const bytes = encodeBlock(block)
      for (let length = 0; length < bytes.length; length++) {
        expect(addEncoded(bytes.subarray(0, length), type, rangeOf(block))).toEqual(NOTHING)
      }
      const long = Buffer.concat([bytes, new Uint8Array(4_000_000)])
      expect(addEncoded(long, type, rangeOf(block))).toEqual(NOTHING)
    }
  })

  test.prop(
    { words: fc.array(anyWord, { minLength: 1, maxLength: 40 }), times: spread },
    runs(300),
  )('may have any times and any values of 64 bits', ({ words, times: [first, step] }) => {
    const times = BigInt64Array.from(words, (_, i) => first + BigInt(i) * step)
    const bits = BigUint64Array.from(words)
    const range = { minTime: times[0] ?? 0n, maxTime: times.at(-1) ?? 0n }
    for (const block of [
      { type: 'integer', times, values: new BigInt64Array(bits.buffer) },
      { type: 'unsigned', times, values: bits },
      { type: 'float', times, values: new Float64Array(bits.buffer).map((v) => v || -0) },
    ] as const) {
      if (block.type === 'float' && block.values.some(Number.isNaN)) continue
      const fingerprint = fingerprintOf(pointsOf(KEY, block))
      const expected = { added: true, points: words.length, fingerprint }
      expect(addEncoded(encodeBlock(block), block.type, range)).toEqual(expected)
    }
  })

  test.prop({ values: fc.oneof(strings, repeated) }, runs(200))(
    'may have any strings',
    ({ values }) => {
      const times = BigInt64Array.from(values, (_, i) => BigInt(i * i))
      const block: Block = { type: 'string', times, values: stringColumn(values) }
      const fingerprint = fingerprintOf(pointsOf(KEY, block))
      const expected = { added: true, points: values.length, fingerprint }
      expect(addEncoded(encodeBlock(block), 'string', rangeOf(block))).toEqual(expected)
    },
  )

  it('that is a run of times is not added if these do not ascend', () => {
    const run = (first: bigint, delta: bigint, count: number) => {
      const times = [0x20, ...words.word(first), ...words.varint(delta), count]
      const values = encodeWords('encodeIntegers', new BigInt64Array(count), 'x')
      return Uint8Array.from([1, times.length, ...times, ...values])
    }
    const span = (first: bigint, last: bigint) => ({ minTime: first, maxTime: last })
    const added = (bytes: Uint8Array, times: TimeRange) => addEncoded(bytes, 'integer', times).added
    expect(added(run(5n, 10n, 4), span(5n, 35n))).toBe(true)
    expect(added(run(5n, 10n, 1), span(5n, 5n))).toBe(true)
    expect(added(run(5n, 0n, 4), span(5n, 5n))).toBe(false)
    const min = -(2n ** 63n)
    expect(added(run(min, 2n ** 63n, 2), span(min, 0n))).toBe(true)
    expect(added(run(min, 2n ** 63n, 3), span(min, min))).toBe(false)
    // once around, and ahead
    expect(added(run(min, 2n ** 63n + 1n, 3), span(min, min + 2n))).toBe(false)
    expect(added(run(0n, 2n ** 63n - 1n, 3), span(0n, -2n))).toBe(false)
    expect(added(run(-1n, 2n ** 64n - 1n, 2), span(-1n, -2n))).toBe(false)
  })

  it('of floats has no more and no fewer than it has times', () => {
    const [three, four] = [blockOf('float', [1n, 2n, 9n], 1), blockOf('float', [1n, 2n, 3n, 9n], 1)]
    for (const [times, values] of [
      [three, four],
      [four, three],
    ] as const) {
      const from = encodeBlock(values)
      const encoded = encodeBlock(times)
      const bytes = Buffer.concat([
        encoded.subarray(0, 2 + (encoded[1] ?? 0)),
        from.subarray(2 + (from[1] ?? 0)),
      ])
      expect(addEncoded(bytes, 'float', rangeOf(times))).toEqual(NOTHING)
    }
  })

  it('of strings that need more memory than there is for them is not added', () => {
    const huge = stringColumn([Buffer.alloc(20 * 2 ** 20)])
    const block: Block = { type: 'string', times: BigInt64Array.of(1n), values: huge }
    expect(addEncoded(encodeBlock(block), 'string', rangeOf(block))).toEqual(NOTHING)
  })
})

describe('the reference', () => {
  it('has the published values of XXH64', () => {
    const hash = (text: string) => xxh64(Buffer.from(text), 0n).toString(16)
    expect(hash('')).toBe('ef46db3751d8e999')
    expect(hash('a')).toBe('d24ec4f1a98c6e5b')
    expect(hash('abc')).toBe('44bc2cf5ad770999')
    expect(hash('Nobody inspects the spammish repetition')).toBe('fbcea83c8a378bf1')
  })

  it('has the values that docs/formats/fingerprint.md gives', async () => {
    const page = await readFile(join(ROOT, 'docs/formats/fingerprint.md'), 'utf8')
    const time = 1_700_000_000_000_000_000n
    const key = (field: string) => Buffer.from(`cpu,host=a#!~#${field}`)
    const points = [
      { key: key('usage'), type: 0, time, value: 0x3ff8000000000000n },
      { key: key('up'), type: 2, time, value: 1n },
      { key: key('text'), type: 3, time: -1n, value: Buffer.from('ünï') },
    ]
    const given = [...page.matchAll(/^\| .* `(\w+)` \|$/gm)].map(([, digits]) => digits)
    const expected = [...points.map((point) => fingerprintOf([point])), fingerprintOf(points)]
    expect(given).toEqual(expected)
  })
})

describe('a fingerprint', () => {
  test.prop({ block: someBlock(60), at: fc.nat({ max: 60 }) }, runs(100))(
    'does not depend on order or pieces',
    ({ block, at }) => {
      const other = Buffer.from('mem#!~#free')
      const cut = Math.min(at, block.times.length)
      const pieces = [
        sliceBlock(block, cut, block.times.length),
        sliceBlock(block, 0, cut),
      ] as const
      const whole = sumOf([KEY, block], [other, block])
      expect(
        sumOf([other, pieces[0]], [KEY, pieces[0]], [KEY, pieces[1]], [other, pieces[1]]),
      ).toBe(whole)
    },
  )

  it('changes with every part of a point', () => {
    const block = blockOf('integer', [1n, 2n, 3n], 5)
    const shifted = { ...block, times: BigInt64Array.of(1n, 2n, 4n) }
    const swapped: Block = { ...block, type: 'integer', values: BigInt64Array.of(12n, 5n, 19n) }
    const unsigned: Block = {
      type: 'unsigned',
      times: block.times,
      values: new BigUint64Array(BigInt64Array.of(5n, 12n, 19n).buffer),
    }
    const seen = [
      sumOf([KEY, block]),
      sumOf([Buffer.from('cpu,host=b#!~#usage'), block]),
      sumOf([KEY, shifted]),
      sumOf([KEY, { ...swapped, values: BigInt64Array.of(5n, 12n, 19n) }]),
      sumOf([KEY, swapped]),
      sumOf([KEY, unsigned]),
      sumOf([KEY, sliceBlock(block, 0, 2)]),
      sumOf(),
    ]
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('keeps all 64 bits of a float: 0 and -0 differ', () => {
    const zero = (value: number): Block => ({
      type: 'float',
      times: BigInt64Array.of(1n),
      values: Float64Array.of(value),
    })
    expect(sumOf([KEY, zero(0)])).not.toBe(sumOf([KEY, zero(-0)]))
  })

  test.prop({ a: someBlock(20), b: someBlock(20) }, runs(50))('adds and takes away', ({ a, b }) => {
    const [left, right, both] = [new PointSum(), new PointSum(), new PointSum()]
    for (const [sum, block] of [
      [left, a],
      [right, b],
      [both, a],
      [both, b],
    ] as const) {
      sum.begin(KEY, block.type)
      sum.add(block)
    }
    expect(both.points).toBe(a.times.length + b.times.length)
    left.join(right)
    expect([left.points, left.fingerprint]).toEqual([both.points, both.fingerprint])
    both.remove(b)
    expect([both.points, sumOf([KEY, a])]).toEqual([
      a.times.length,
      formatFingerprint(both.fingerprint),
    ])
    right.remove(b)
    expect([right.points, formatFingerprint(right.fingerprint)]).toEqual([0, '0'.repeat(32)])
  })
})
