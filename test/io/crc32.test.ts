import { crc32 } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { combineCrc32, combineWord } from '../../src/io/crc32.ts'

const crc = fc.integer({ min: 0, max: 0xffff_ffff })
const length = fc.integer({ min: 0, max: 2 ** 45 })

describe('combineCrc32', () => {
  test.prop([fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 5000 })])(
    'is what reading both would have given',
    (first, second) => {
      const together = crc32(second, crc32(first))
      expect(combineCrc32(crc32(first), crc32(second), second.length)).toBe(together)
    },
  )

  test.prop([crc, crc, crc, length, length])(
    'does not depend on which two of three are combined first, however long they are',
    (a, b, c, ofB, ofC) => {
      const fromLeft = combineCrc32(combineCrc32(a, b, ofB), c, ofC)
      expect(combineCrc32(a, combineCrc32(b, c, ofC), ofB + ofC)).toBe(fromLeft)
    },
  )
})

test.prop([crc, crc])('combineWord is what reading four bytes would have given', (first, word) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(word)
  expect(combineWord(first, word)).toBe(crc32(bytes, first))
})
