import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeExactJson } from '../../src/protocol/go-json.ts'
import { type ExactJson, encodeGoJson, JsonNumber } from '../../src/protocol/index.ts'
import { thrown, valueOrSnapError } from './thrown.ts'

/** Back to plain values, numbers as doubles. */
function toPlain(json: ExactJson): unknown {
  if (json instanceof JsonNumber) return Number(json.text)
  if (Array.isArray(json)) return json.map(toPlain)
  if (typeof json !== 'object' || json === null) return json
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, toPlain(value)]))
}

describe('encodeGoJson', () => {
  it.each([
    ['a<b>&c', '"a\\u003cb\\u003e\\u0026c"'],
    ['\u2028\u2029', '"\\u2028\\u2029"'],
    ['\b\f\n\r\t', '"\\u0008\\u000c\\n\\r\\t"'],
    ['\u0000\u001f\u007f', '"\\u0000\\u001f\u007f"'],
    ['"\\/', '"\\"\\\\/"'],
    ['\\b \\f \\ud800', '"\\\\b \\\\f \\\\ud800"'],
    ['\\\b', '"\\\\\\u0008"'],
    ['größe 測定 🙂', '"größe 測定 🙂"'],
    ['\ud800x', '"\\ufffdx"'],
    ['x\udfff', '"x\\ufffd"'],
    ['\ufffd', '"\ufffd"'],
  ])('writes the string %j as Go does', (text, json) => {
    expect(encodeGoJson(text)).toBe(json)
  })

  it('keeps the order of fields and every digit', () => {
    const value = { b: 2n ** 64n - 1n, a: [1, -5, null, true], 'k<': {} }
    expect(encodeGoJson(value)).toBe(
      '{"b":18446744073709551615,"a":[1,-5,null,true],"k\\u003c":{}}',
    )
  })

  it('writes what JSON.parse reads back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), fc.integer(), (text, number) => {
        expect(JSON.parse(encodeGoJson({ [text]: text, number }))).toEqual({
          [text]: text,
          number,
        })
      }),
    )
  })
})

describe('decodeExactJson', () => {
  it('keeps numbers as they are written', () => {
    const json = decodeExactJson('[18446744073709551615, 1.50, -0, 1e400, "12", "n12"]', 'x')
    expect(json).toEqual([
      new JsonNumber('18446744073709551615'),
      new JsonNumber('1.50'),
      new JsonNumber('-0'),
      new JsonNumber('1e400'),
      '12',
      'n12',
    ])
  })

  it('keeps keys that are special to objects', () => {
    const json = decodeExactJson('{"__proto__": {"a": 1}, "constructor": "x", "12": 3}', 'x')
    expect(new Map(Object.entries(json ?? {}))).toEqual(
      new Map<string, ExactJson>([
        ['12', new JsonNumber('3')],
        ['__proto__', { a: new JsonNumber('1') }],
        ['constructor', 'x'],
      ]),
    )
    expect(Object.getPrototypeOf(json)).toBe(Object.prototype)
  })

  it('reads any JSON as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(toPlain(decodeExactJson(text, 'x'))).toEqual(JSON.parse(text))
      }),
    )
  })

  it.each(['', '01', '1.', '{"a":1', '[1 2]', "{'a':1}", '\ufeff{}', '[-]', 'NaN', '"\n"'])(
    'refuses %j',
    (text) => {
      const error = thrown(() => decodeExactJson(text, 'request'))
      expect(error).toMatchObject({ code: 'E_PROTOCOL' })
      expect(error.message).toMatch(/^request is not JSON/)
    },
  )

  it('refuses or reads deep nesting', () => {
    const deep = '['.repeat(30_000) + ']'.repeat(30_000)
    valueOrSnapError(() => decodeExactJson(deep, 'x'))
  })
})
