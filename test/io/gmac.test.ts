import { createCipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Gmac } from '../../src/io/gmac.ts'

const sumOf = (...chunks: readonly Uint8Array[]): string => {
  const gmac = new Gmac()
  for (const chunk of chunks) gmac.update(chunk)
  return gmac.digest()
}

describe('Gmac', () => {
  it('is that of NIST for no bytes', () => {
    // Test case 1 of "The Galois/Counter Mode of Operation (GCM)": key and nonce zero, nothing to encrypt.
    expect(sumOf()).toBe('58e2fccefa7e3061367f1d57a4e7455a')
  })

  it('is the tag of AES-128-GCM over what is not encrypted', () => {
    const bytes = randomBytes(3_000_001)
    const cipher = createCipheriv('aes-128-gcm', Buffer.alloc(16), Buffer.alloc(12))
    cipher.setAAD(bytes)
    cipher.final()
    expect(sumOf(bytes)).toBe(cipher.getAuthTag().toString('hex'))
  })

  it('does not depend on how the bytes come', () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 20 })
    fc.assert(
      fc.property(chunks, (all) => {
        expect(sumOf(...all)).toBe(sumOf(Buffer.concat(all)))
      }),
    )
  })

  it('tells any other bytes apart', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(bytes, fc.nat(), (content, at) => {
        const other = Uint8Array.from(content)
        const bit = at % (8 * content.length)
        other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(sumOf(other)).not.toBe(sumOf(content))
        expect(sumOf(content, new Uint8Array(1))).not.toBe(sumOf(content))
        expect(sumOf(content.subarray(1))).not.toBe(sumOf(content))
      }),
    )
  })

  it('takes bytes that change afterwards', () => {
    const bytes = new Uint8Array(100).fill(7)
    const gmac = new Gmac()
    gmac.update(bytes)
    bytes.fill(8)
    expect(gmac.digest()).toBe(sumOf(new Uint8Array(100).fill(7)))
  })
})
