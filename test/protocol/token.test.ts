import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import {
  decodeTokenLine,
  encodeTokenLine,
  MAX_TOKEN_LINE,
  parseTokens,
} from '../../src/protocol/index.ts'
import { thrown } from './thrown.ts'

const LONGEST = MAX_TOKEN_LINE - 'Bearer \n'.length

describe('a token line', () => {
  it('is the word Bearer, a space, the token and a newline', () => {
    expect(Buffer.from(encodeTokenLine('s3cret')).toString()).toBe('Bearer s3cret\n')
    expect(Buffer.from(encodeTokenLine('')).toString()).toBe('Bearer \n')
    expect(encodeTokenLine('x'.repeat(LONGEST)).length).toBe(MAX_TOKEN_LINE)
  })

  test.prop([fc.stringMatching(/^[\x21-\x7e]{0,100}$/)])('is read as it was written', (token) => {
    expect(decodeTokenLine(encodeTokenLine(token))).toBe(token)
  })

  it.each(['two words', 'line\nbreak', 'tab\t', 'zufällig', 'x'.repeat(LONGEST + 1)])(
    'cannot be made of %j',
    (token) => {
      const error = thrown(() => encodeTokenLine(token))
      expect(error).toMatchObject({ code: 'E_USAGE' })
      expect(error.message).not.toContain(token)
    },
  )

  it.each([
    '',
    '\n',
    'Bearer\n',
    'Bearer s3cret',
    'bearer s3cret\n',
    'Bearer a b\n',
    'Bearer a\r\n',
  ])('is not %j', (line) => {
    const error = thrown(() => decodeTokenLine(Buffer.from(line)))
    expect(error.code).toBe('E_PROTOCOL')
    expect(error.message).not.toContain('s3cret')
  })
})

describe('a token file', () => {
  it('has one token a line', () => {
    expect(parseTokens('# nightly\none\n\n  two \r\n#three\n', 'file')).toEqual(['one', 'two'])
  })

  it.each([
    ['', 'file: there is no token in it'],
    ['# none\n', 'file: there is no token in it'],
    ['fine\nnot fine\n', 'file: line 2 is no token'],
    [`x${'x'.repeat(LONGEST)}`, 'file: line 1 is no token'],
  ])('is refused if it holds %j', (text, message) => {
    expect(thrown(() => parseTokens(text, 'file'))).toMatchObject({ code: 'E_USAGE', message })
  })
})
