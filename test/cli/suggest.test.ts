import { describe, expect, it } from 'vitest'
import { suggest } from '../../src/cli/suggest.ts'

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

  it('takes the nearest', () => {
    expect(suggest('--idle-timout', ['--upload-timeout', '--idle-timeout'])).toBe('--idle-timeout')
  })
})
