import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeBlock, encodeBlock } from '../../src/tsm/block.ts'
import { MAX_BLOCK_VALUES } from '../../src/tsm/format.ts'
import { cutEncoded } from '../../src/tsm/kernels/cut.ts'
import { encodeWords } from '../../src/tsm/kernels/kernels.ts'
import { filterBlock } from '../../src/tsm/time-ranges.ts'
import {
  type Block,
  MAX_TIME,
  MIN_TIME,
  rangeOf,
  stringColumn,
  type TimeRange,
} from '../../src/tsm/values.ts'
import { blockOf, runs, someBlock, TYPES } from './arbitraries.ts'

const anyTime = fc.oneof(fc.bigInt(-210n, 210n), fc.constantFrom(MIN_TIME, MAX_TIME))
const range = fc
  .tuple(anyTime, anyTime)
  .map(([a, b]): TimeRange => (a < b ? { minTime: a, maxTime: b } : { minTime: b, maxTime: a }))

/** Some values as fields have them: near each other, the same over and over, or any bits. */
const word = fc.oneof(fc.bigInt(0n, 9n), fc.bigInt(0n, 2n ** 64n - 1n), fc.constant(7n))
const wild = fc
  .array(fc.tuple(fc.bigInt(1n, 2n ** 40n), word), { minLength: 1, maxLength: 400 })
  .chain((points) =>
    fc.constantFrom('float', 'integer', 'unsigned').map((type) => ({ type, points })),
  )
  .map(({ type, points }): Block => {
    let time = -1000n
    const times = BigInt64Array.from(points, ([step]) => (time += step))
    const words = BigUint64Array.from(points, ([, bits]) => bits)
    if (type === 'unsigned') return { type, times, values: words }
    if (type === 'integer') return { type, times, values: new BigInt64Array(words.buffer) }
    const floats = new Float64Array(words.buffer).map((value) => (Number.isNaN(value) ? 1 : value))
    return { type: 'float', times, values: floats }
  })

/** What decoding and encoding gives, as the bytes of a block and its times. */
function cutByHand(bytes: Uint8Array, kept: TimeRange) {
  const block = filterBlock(decodeBlock(bytes), [kept])
  return block && { ...rangeOf(block), bytes: Buffer.from(encodeBlock(block)) }
}

function cut(bytes: Uint8Array, times: TimeRange, kept: TimeRange) {
  const result = cutEncoded(bytes, times, kept)
  return result && { ...result, bytes: Buffer.from(result.bytes) }
}

describe('the kernel cuts a block to the bytes that decoding and encoding gives', () => {
  test.prop({ block: someBlock(60), kept: range }, runs(400))('of any type', ({ block, kept }) => {
    const bytes = encodeBlock(block)
    expect(cut(bytes, rangeOf(block), kept)).toEqual(cutByHand(bytes, kept))
  })

  test.prop({ block: wild, from: fc.nat(), to: fc.nat() }, runs(200))(
    'of any bits, at any of its points',
    ({ block, from, to }) => {
      const bytes = encodeBlock(block)
      const at = (i: number) => block.times[i % block.times.length] ?? 0n
      const [a, b] = [at(from), at(to)]
      const kept = a < b ? { minTime: a, maxTime: b } : { minTime: b, maxTime: a }
      expect(cut(bytes, rangeOf(block), kept)).toEqual(cutByHand(bytes, kept))
    },
  )

  it.each(TYPES)('of as many points as influxd writes, and of many more: %s', (type) => {
    for (const count of [1000, 20_000]) {
      const times = Array.from({ length: count }, (_, i) => BigInt(i) * 30n)
      const bytes = encodeBlock(blockOf(type, times, 3))
      const whole = { minTime: 0n, maxTime: BigInt(count - 1) * 30n }
      for (const kept of [whole, { minTime: 31n, maxTime: 15_000n }]) {
        expect(cut(bytes, whole, kept)).toEqual(cutByHand(bytes, kept))
      }
    }
  })
})

describe('a block that is not as all are is left to others', () => {
  const block = blockOf('float', [1n, 2n, 4n, 9n], 1)
  const all = { minTime: MIN_TIME, maxTime: MAX_TIME }

  test.prop(
    { block: someBlock(30), kept: range, at: fc.nat(), bit: fc.nat({ max: 7 }), length: fc.nat() },
    runs(400),
  )('or gives the same, with a bit flipped or cut', ({ block, kept, at, bit, length }) => {
    const whole = encodeBlock(block)
    const times = rangeOf(block)
    const flipped = Uint8Array.from(whole)
    flipped[at % whole.length] = (flipped[at % whole.length] ?? 0) ^ (1 << bit)
    for (const bytes of [flipped, whole.subarray(0, length % whole.length)]) {
      const result = cut(bytes, times, kept)
      if (result === false) continue
      const decoded = decodeBlock(bytes)
      expect(rangeOf(decoded)).toEqual(times)
      expect(result).toEqual(cutByHand(bytes, kept))
    }
  })

  it('if its times are not those of the index', () => {
    const bytes = encodeBlock(block)
    expect(cutEncoded(bytes, { minTime: 1n, maxTime: 9n }, all)).not.toBe(false)
    expect(cutEncoded(bytes, { minTime: 0n, maxTime: 9n }, all)).toBe(false)
    expect(cutEncoded(bytes, { minTime: 1n, maxTime: 8n }, all)).toBe(false)
  })

  it('if its times do not ascend', () => {
    const times = encodeWords('encodeTimes', BigInt64Array.of(1n, 5n, 5n, 9n), 'times')
    const values = encodeWords('encodeFloats', Float64Array.of(1, 2, 3, 4), 'values')
    const bytes = Uint8Array.of(0, times.length, ...times, ...values)
    expect(decodeBlock(bytes).times.length).toBe(4)
    expect(cutEncoded(bytes, { minTime: 1n, maxTime: 9n }, all)).toBe(false)
  })

  it('if it is larger than what blocks share', () => {
    const texts = stringColumn([Buffer.alloc(1), Buffer.alloc(20 * 1024 * 1024)])
    const large: Block = { type: 'string', times: BigInt64Array.of(1n, 2n), values: texts }
    expect(cutEncoded(encodeBlock(large), rangeOf(large), all)).toBe(false)
    expect(cutEncoded(new Uint8Array(MAX_BLOCK_VALUES * 20), rangeOf(large), all)).toBe(false)
  })

  it('if a float of it cannot be written', () => {
    // a NaN, and then what makes of it the one that ends the floats: two bits of 33, after 30 zeros
    const bits = `${0x7ff8000000000003n.toString(2).padStart(64, '0')}11${'11110'}${'100001'}${'1'.padStart(33, '0')}`
    const values = (bits.padEnd(112, '0').match(/.{8}/g) ?? []).map((byte) =>
      Number.parseInt(byte, 2),
    )
    const times = encodeWords('encodeTimes', BigInt64Array.of(5n), 'times')
    const bytes = Uint8Array.of(0, times.length, ...times, 0x10, ...values)
    const decoded = decodeBlock(bytes)
    expect(decoded.values).toEqual(Float64Array.of(Number.NaN))
    expect(() => encodeBlock(decoded)).toThrow(SnapError)
    expect(cutEncoded(bytes, rangeOf(decoded), all)).toBe(false)
    // nobody asks for it
    expect(cutEncoded(bytes, rangeOf(decoded), { minTime: 6n, maxTime: 9n })).toBe(undefined)
  })
})
