import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../../src/errors.ts'
import { snappyDecode, snappyEncode } from '../../../src/tsm/codecs/snappy.ts'

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

test.prop({ cut: fc.nat({ max: 99 }), flip: fc.nat({ max: 799 }) }, { numRuns: 300 })(
  'ends in a SnapError or bytes when its input is cut or flipped',
  ({ cut, flip }) => {
    const bytes = snappyEncode(Buffer.from('one two three '.repeat(40)))
    const damaged = bytes.slice(0, bytes.length - (cut % bytes.length))
    const at = flip % (damaged.length * 8)
    damaged[at >> 3] = (damaged[at >> 3] ?? 0) ^ (1 << (at & 7))
    try {
      expect(snappyDecode(damaged, 'x')).toBeInstanceOf(Uint8Array)
    } catch (error) {
      expect(error).toBeInstanceOf(SnapError)
    }
  },
)
