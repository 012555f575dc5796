import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expandNames, matchesName } from '../../src/meta/index.ts'

describe('matchesName', () => {
  it.each([
    ['telegraf*', 'telegraf', true],
    ['telegraf*', 'telegraf_1', true],
    ['telegraf*', 'my telegraf', false],
    ['*', '', true],
    ['a?c', 'a\nc', true],
    ['a?c', 'ac', false],
    ['a.c', 'abc', false],
    ['a.*[x]', 'a.1[x]', true],
    ['A*', 'abc', false],
    ['?', '😀', true],
  ])('%j and %j: %j', (pattern, name, expected) => {
    expect(matchesName(pattern, name)).toBe(expected)
  })

  it('takes every name for itself', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (name) => matchesName(name, name)))
  })
})

describe('expandNames', () => {
  it('gives names once, in their own order', () => {
    expect(expandNames(['b*', 'a', 'bb'], ['a', 'bb', 'c', 'b'])).toEqual(['a', 'bb', 'b'])
  })

  it('takes a name that is there for no pattern', () => {
    expect(expandNames(['a*'], ['a*', 'ab'])).toEqual(['a*'])
    expect(expandNames(['a*'], ['ab', 'ac'])).toEqual(['ab', 'ac'])
  })
})
