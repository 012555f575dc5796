import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { snappyEncode } from '../../../src/tsm/codecs/snappy.ts'
import { decodeStrings, encodeStrings } from '../../../src/tsm/codecs/strings.ts'
import { stringAt, stringColumn } from '../../../src/tsm/values.ts'

const list = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 50 })

test.prop({ strings: list })('gives back any bytes', ({ strings }) => {
  const decoded = decodeStrings(encodeStrings(stringColumn(strings), 'x'), strings.length, 'x')
  expect(strings.map((_, i) => [...stringAt(decoded, i)])).toEqual(strings.map((s) => [...s]))
})

it('takes a column whose first offset is not zero', () => {
  const { offsets, bytes } = stringColumn(['a', 'bc', 'def'].map((s) => Buffer.from(s)))
  const part = { offsets: offsets.subarray(1), bytes }
  const decoded = decodeStrings(encodeStrings(part, 'x'), 2, 'x')
  expect(Buffer.from(decoded.bytes).toString()).toBe('bcdef')
  expect([...decoded.offsets]).toEqual([0, 2, 5])
})

const packed = (bytes: number[]) =>
  Buffer.concat([Uint8Array.of(0x10), snappyEncode(Uint8Array.from(bytes))])

describe('refuses', () => {
  it.each([
    ['an unknown encoding', Uint8Array.of(0x20, 0), 1, 'unknown encoding 32'],
    ['nothing', Uint8Array.of(), 1, 'unknown encoding'],
    ['fewer strings than times', packed([1, 97]), 2, 'string 1 of 2 is cut'],
    ['more strings than times', packed([1, 97, 1, 98]), 1, '2 bytes after 1 strings'],
    ['a string that is cut', packed([5, 97]), 1, 'string 0 of 1 is cut'],
    ['a length that is cut', packed([0x80]), 1, 'string 0 of 1 is cut'],
    ['a huge length', packed([...Array<number>(9).fill(0xff), 1, 0]), 1, 'string 0 of 1 is cut'],
  ])('%s', (_, bytes, count, message) => {
    expect(() => decodeStrings(bytes, count, 'here')).toThrow(message)
  })

  it('to encode more than snappy is given at once', () => {
    // a column that claims its bytes: none of them is touched
    const offsets = Uint32Array.of(0, 2 ** 30 + 1)
    const column = { offsets, bytes: new Uint8Array(0) }
    expect(() => encodeStrings(column, 'here')).toThrow('bytes of strings, at most')
  })
})
