import { describe, expect, it } from 'vitest'
import { namesHint, suggest } from '../src/suggest.ts'

const WORDS = ['backup', 'restore', 'export', 'version', 'verify', 'prune']

describe('suggest', () => {
  it.each([
    ['bakup', 'backup'],
    ['abckup', 'backup'],
    ['bakcup', 'backup'],
    ['restor', 'restore'],
    ['exports', 'export'],
    ['verson', 'version'],
    ['prnue', 'prune'],
  ])('takes %s for %s', (word, meant) => {
    expect(suggest(word, WORDS)).toBe(meant)
  })

  it.each(['', 'x', 'list', 'completely-different', 'b'.repeat(10_000)])(
    'leaves %.20s alone',
    (word) => {
      expect(suggest(word, WORDS)).toBeUndefined()
    },
  )

  it('takes no word for another that shares half of its letters', () => {
    expect(suggest('nope', ['copy'])).toBeUndefined()
    expect(suggest('cpoy', ['copy'])).toBe('copy')
  })

  it('takes no single letter for another', () => {
    expect(suggest('x', ['a'])).toBeUndefined()
  })

  it('takes the nearest', () => {
    expect(suggest('--idle-timout', ['--upload-timeout', '--idle-timeout'])).toBe('--idle-timeout')
  })
})

describe('namesHint', () => {
  it('says what was meant, and what there is', () => {
    expect(namesHint(['telegraf', 'plant'], 'tellegraf')).toBe(
      'did you mean telegraf? there are: telegraf, plant',
    )
    expect(namesHint(['telegraf'], undefined)).toBe('there are: telegraf')
    expect(namesHint([], 'telegraf')).toBe('there are none')
  })

  it('is not longer than somebody reads', () => {
    const many = Array.from({ length: 25 }, (_, i) => `n${i}`)
    expect(namesHint(many, 'other')).toMatch(/ n19, and 5 more$/)
  })
})
