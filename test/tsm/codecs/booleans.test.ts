import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { decodeBooleans, encodeBooleans } from '../../../src/tsm/codecs/booleans.ts'

test.prop({ bits: fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 400 }) })(
  'gives back any bits',
  ({ bits }) => {
    const encoded = encodeBooleans(Uint8Array.from(bits))
    expect([...decodeBooleans(encoded, bits.length, 'x')]).toEqual(bits)
  },
)

it('puts the first value in the highest bit', () => {
  expect([...encodeBooleans(Uint8Array.of(1, 0, 1, 0, 0, 0, 0, 0, 1))]).toEqual([
    0x10, 9, 0xa0, 0x80,
  ])
})

describe('refuses', () => {
  it.each([
    ['an unknown encoding', [0x20, 1, 0], 1, 'no count'],
    ['no count', [0x10], 1, 'no count'],
    ['another count than of times', [0x10, 3, 0], 2, 'a count of 3, expected 2'],
    ['too few bits', [0x10, 9, 0], 9, '1 bytes of bits, expected 2'],
    ['too many bits', [0x10, 8, 0, 0], 8, '2 bytes of bits, expected 1'],
  ])('%s', (_, bytes, count, message) => {
    expect(() => decodeBooleans(Uint8Array.from(bytes), count, 'here')).toThrow(message)
  })
})
