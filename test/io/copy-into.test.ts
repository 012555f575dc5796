import fc from 'fast-check'
import { expect, it } from 'vitest'
import { copyInto } from '../../src/io/copy-into.ts'

const SIZE = 4096

it.each([
  ['memory that threads share', () => new SharedArrayBuffer(SIZE)],
  ['memory of this thread', () => new ArrayBuffer(SIZE)],
])('copies into %s what came, and nothing beside it', (_, memory) => {
  const piece = fc.uint8Array({ minLength: 0, maxLength: SIZE, size: 'max' })
  fc.assert(
    fc.property(piece, fc.nat(SIZE), fc.nat(16), (bytes, at, from) => {
      const part = bytes.subarray(from, from + SIZE - at)
      const target = Buffer.from(memory()).fill(0xa5)
      copyInto(target, at, part)
      expect(target.subarray(0, at).every((byte) => byte === 0xa5)).toBe(true)
      expect(Buffer.compare(target.subarray(at, at + part.length), part)).toBe(0)
      expect(target.subarray(at + part.length).every((byte) => byte === 0xa5)).toBe(true)
    }),
  )
})

it('says so where there is no room', () => {
  for (const length of [1, 2000]) {
    expect(() => copyInto(Buffer.alloc(SIZE), SIZE - length + 1, Buffer.alloc(length))).toThrow(
      RangeError,
    )
  }
})
