import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { TextBuffer } from '../../src/formats/text-buffer.ts'
import { wordsOf } from '../../src/formats/value-text.ts'

function textOf(put: (buffer: TextBuffer) => void): string {
  const buffer = new TextBuffer(4)
  put(buffer)
  return Buffer.from(buffer.take()).toString()
}

const EDGES = [0n, 1n, 9n, 10n, 99n, 10n ** 9n - 1n, 10n ** 9n, 10n ** 18n - 1n, 10n ** 18n]

describe('TextBuffer', () => {
  test.prop([
    fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.integer().map(BigInt),
      fc.constantFrom(...EDGES, ...EDGES.map((n) => -n), 2n ** 63n - 1n, -(2n ** 63n)),
    ),
  ])('writes an int64 as BigInt does', (value) => {
    const [low = 0, high = 0] = wordsOf(BigInt64Array.of(value))
    expect(textOf((buffer) => buffer.putInt64(high, low))).toBe(value.toString())
  })

  test.prop([fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(...EDGES))])(
    'writes a uint64 as BigInt does',
    (value) => {
      const [low = 0, high = 0] = wordsOf(BigUint64Array.of(value))
      expect(textOf((buffer) => buffer.putUint64(high, low))).toBe(value.toString())
    },
  )

  test.prop([fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 2 ** 31, -(2 ** 31)))])(
    'writes a float so that it reads back as the same',
    (value) => {
      expect(Number(textOf((buffer) => buffer.putFloat(value)))).toBe(value)
    },
  )

  it('keeps the sign of zero', () => {
    expect(textOf((buffer) => buffer.putFloat(-0))).toBe('-0')
    expect(textOf((buffer) => buffer.putFloat(0))).toBe('0')
  })

  it('gives away what it holds', () => {
    const buffer = new TextBuffer(2)
    buffer.putAscii('hello')
    expect(buffer.length).toBe(5)
    const bytes = buffer.take()
    expect(buffer.length).toBe(0)
    buffer.putAscii('other')
    expect(Buffer.from(bytes).toString()).toBe('hello')
  })
})
