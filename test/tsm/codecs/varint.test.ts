import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { readVarint, varintLength, writeVarint } from '../../../src/tsm/codecs/varint.ts'
import { varint } from '../reference/words.ts'

test.prop({ value: fc.maxSafeNat(), at: fc.nat({ max: 3 }) })(
  'writes and reads any length as Go does',
  ({ value, at }) => {
    const bytes = new Uint8Array(at + varintLength(value))
    expect(writeVarint(bytes, at, value)).toBe(bytes.length)
    expect([...bytes.subarray(at)]).toEqual(varint(BigInt(value)))
    expect(readVarint(bytes, at)).toEqual({ value, next: bytes.length })
  },
)

it('reads no varint that is cut or longer than ten bytes', () => {
  expect(readVarint(Uint8Array.of(0x80, 0x80), 0)).toBeUndefined()
  expect(readVarint(Uint8Array.of(), 0)).toBeUndefined()
  expect(readVarint(new Uint8Array(12).fill(0x80), 0)).toBeUndefined()
})
