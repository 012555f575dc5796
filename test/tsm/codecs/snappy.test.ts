import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../../src/errors.ts'
import { snappyDecode, snappyEncode } from '../../../src/tsm/codecs/snappy.ts'
import { runs } from '../arbitraries.ts'
import { unpack } from '../reference/snappy.ts'
import { varint } from '../reference/words.ts'

const text = fc.array(fc.constantFrom('a', 'bcd', 'the same again ', '\n'), { maxLength: 400 })

test.prop({ words: text })('gives back what it was given', ({ words }) => {
  const bytes = Buffer.from(words.join(''))
  expect(Buffer.from(snappyDecode(snappyEncode(bytes), 'x')).equals(bytes)).toBe(true)
})

it('takes blocks beyond what an instance keeps memory for', () => {
  const bytes = Buffer.alloc(17 * 1024 * 1024, 'a block of strings, ')
  expect(Buffer.from(snappyDecode(snappyEncode(bytes), 'x')).equals(bytes)).toBe(true)
})

describe('refuses, before it allocates anything,', () => {
  it('a length that the input cannot hold', () => {
    // 4 GiB less one in five bytes, and a single literal
    const bytes = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0)
    expect(() => snappyDecode(bytes, 'here')).toThrow(
      'here: 7 snappy bytes claim to hold 4294967295',
    )
  })

  it('no length at all', () => {
    expect(() => snappyDecode(new Uint8Array(0), 'here')).toThrow('here: no snappy length')
  })
})

// elements of every kind: literals whose length is in 0 to 4 bytes, and copies whose offset is in 1, 2 or 4
const literal = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 70 }), fc.nat({ max: 4 }))
  .map(([bytes, size]) => {
    const length = bytes.length - 1
    if (size === 0 && length < 60) return { length: bytes.length, bytes: [length << 2, ...bytes] }
    const digits = [length, 0, 0, 0].slice(0, Math.max(1, size))
    return { length: bytes.length, bytes: [(59 + digits.length) << 2, ...digits, ...bytes] }
  })
const copy = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.nat({ max: 63 }), fc.integer({ min: 1, max: 90 }))
  .map(([kind, length, offset]) => {
    if (kind === 1) return { length: (length & 7) + 4, bytes: [((length & 7) << 2) | 1, offset] }
    const zeros = kind === 2 ? [0] : [0, 0, 0]
    return { length: length + 1, bytes: [(length << 2) | kind, offset, ...zeros] }
  })
const elements = fc.tuple(literal, fc.array(fc.oneof(literal, copy), { maxLength: 20 }))

function sameAsReference(bytes: Uint8Array): void {
  const expected = unpack(bytes)
  try {
    expect([...snappyDecode(bytes, 'x')]).toEqual(expected && [...expected])
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    expect([error.code, expected]).toEqual(['E_FORMAT', undefined])
  }
}

test.prop({ elements, more: fc.integer({ min: -1, max: 1 }) }, runs(300))(
  'agrees with the reference on elements of every kind',
  ({ elements: [first, rest], more }) => {
    const all = [first, ...rest]
    const size = all.reduce((sum, { length }) => sum + length, 0)
    const body = all.flatMap(({ bytes }) => bytes)
    sameAsReference(Uint8Array.from([...varint(BigInt(size)), ...body]))
    sameAsReference(Uint8Array.from([...varint(BigInt(size + more)), ...body]))
  },
)

test.prop(
  { elements, cut: fc.nat({ max: 20 }), at: fc.nat(), flip: fc.integer({ min: 1, max: 255 }) },
  runs(500),
)(
  'agrees with the reference on what is cut or flipped: bytes or a SnapError',
  ({ elements: [first, rest], cut, at, flip }) => {
    const all = [first, ...rest]
    const size = all.reduce((sum, { length }) => sum + length, 0)
    const bytes = Uint8Array.from([
      ...varint(BigInt(size)),
      ...all.flatMap((element) => element.bytes),
    ])
    sameAsReference(bytes.subarray(0, Math.max(0, bytes.length - cut)))
    bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip
    sameAsReference(bytes)
  },
)

it('names what is wrong', () => {
  const decode = (...bytes: number[]) => snappyDecode(Uint8Array.from(bytes), 'here')
  // a literal that is cut, a copy that is, and one from before the beginning
  expect(() => decode(2, 4, 97)).toThrow('here: ends inside a value')
  expect(() => decode(5, 0, 97, 1)).toThrow('here: ends inside a value')
  expect(() => decode(5, 0, 97, 1, 2)).toThrow('here: snappy that copies what is not there')
  expect(() => decode(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2)).toThrow('claim')
})
