import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeResponse, encodeResponse } from '../../src/protocol/index.ts'
import { thrown, valueOrSnapError } from './thrown.ts'

describe('encodeResponse', () => {
  it('writes paths as Go does', () => {
    const bytes = encodeResponse({ Paths: ['a&b/autogen/1', 'c/d/2'] })
    expect(Buffer.from(bytes).toString()).toBe('{"Paths":["a\\u0026b/autogen/1","c/d/2"]}\n')
  })

  it('writes no paths as null, the nil slice of Go', () => {
    expect(Buffer.from(encodeResponse({ Paths: [] })).toString()).toBe('{"Paths":null}\n')
  })
})

describe('decodeResponse', () => {
  it('reads states beside paths, one for each', () => {
    const response = { Paths: ['d/rp/1'], States: [{ State: 'ab', Shape: 'cd' }] }
    expect(decodeResponse(encodeResponse(response))).toEqual(response)
  })

  it.each(['[]', '[{}]', '[null]', '[{"State":"a"}]', '[{"State":1,"Shape":"b"}]', '7'])(
    'refuses states that are not: %s',
    (States) => {
      const bytes = Buffer.from(`{"Paths":["d/rp/1"],"States":${States}}\n`)
      expect(thrown(() => decodeResponse(bytes))).toMatchObject({ code: 'E_PROTOCOL' })
    },
  )

  it('reads what encodeResponse writes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (Paths) => {
        expect(decodeResponse(encodeResponse({ Paths }))).toEqual({ Paths })
      }),
    )
  })

  it.each(['{}\n', '[]\n', 'null\n', '{"Paths":[1]}\n', '{"Paths":"a"}\n', '{"Paths":[]} x\n'])(
    'refuses %j',
    (text) => {
      expect(thrown(() => decodeResponse(Buffer.from(text))).code).toBe('E_PROTOCOL')
    },
  )

  it('says that an answer without its end was cut', () => {
    const bytes = encodeResponse({ Paths: ['a/b/1', 'a/b/2'] })
    for (let length = 1; length < bytes.length - 1; length++) {
      const error = thrown(() => decodeResponse(bytes.subarray(0, length)))
      expect(error).toMatchObject({ code: 'E_CUT', retryable: true })
    }
  })

  it('reads or refuses whatever is flipped', () => {
    const bytes = encodeResponse({ Paths: ['a/b/1', 'a/b/2'] })
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      valueOrSnapError(() => decodeResponse(flipped))
    }
  })
})
