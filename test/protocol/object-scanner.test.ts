import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ObjectScanner } from '../../src/protocol/index.ts'

/** Returns how many bytes of `text` the scanner takes for the object, fed in pieces of `size`. */
function objectLength(text: string): number | undefined {
  const scanner = new ObjectScanner()
  const bytes = Buffer.from(text)
  for (let index = 0; index < bytes.length; index++) {
    if (scanner.closes(bytes.subarray(index, index + 1))) return index + 1
  }
  return undefined
}

describe('ObjectScanner', () => {
  it.each(['{}', '{"a":{"b":{}}}', '{"a}":"}"}', '{"a\\"}":"\\\\"}', '{"ü}":1}'])(
    'ends %s at its last brace, whatever follows',
    (json) => {
      expect(objectLength(`${json}}{"x":1}`)).toBe(Buffer.byteLength(json))
    },
  )

  it('does not end what is open', () => {
    expect(objectLength('{"a":"}')).toBeUndefined()
  })

  it('ends any object where it ends', () => {
    const object = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.object(), fc.double()))
    fc.assert(
      fc.property(object, fc.string(), (value, rest) => {
        const json = JSON.stringify(value)
        expect(objectLength(json + rest)).toBe(Buffer.byteLength(json))
      }),
    )
  })
})
