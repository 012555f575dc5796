import { describe, expect, it } from 'vitest'
import { diffReport } from '../../src/cli/diff-report.ts'
import { wrapFor } from '../../src/cli/wrap.ts'

const LINE = 'error: the quick brown fox jumps over the lazy dog'

describe('a line', () => {
  it('is wrapped between words on a terminal', () => {
    expect(wrapFor({ isTTY: true, columns: 30 }, LINE)).toBe(
      'error: the quick brown fox\n  jumps over the lazy dog',
    )
  })

  it.each([{}, { columns: 30 }, { isTTY: true }, { isTTY: true, columns: 10 }])(
    'is left alone: %j',
    (stream) => {
      expect(wrapFor(stream, LINE)).toBe(LINE)
    },
  )

  it('keeps its margin', () => {
    expect(wrapFor({ isTTY: true, columns: 24 }, '  shard 7 left out: it is damaged')).toBe(
      '  shard 7 left out: it\n    is damaged',
    )
  })

  it.each(['good words', 'good words in 1'])('takes no room for colours: %s', (words) => {
    const colored = `\u001b[32m${words}\u001b[39m`
    expect(wrapFor({ isTTY: true, columns: words.length }, colored)).toBe(colored)
    const tail = `${colored} and more of them to come`
    const [first] = wrapFor({ isTTY: true, columns: 22 }, tail).split('\n')
    expect(first).toBe(words === 'good words' ? `${colored} and more` : `${colored} and`)
  })

  it('is cut within a word that has no room', () => {
    const text = wrapFor({ isTTY: true, columns: 20 }, 'x'.repeat(40))
    expect(text.split('\n').every((line) => line.length <= 20)).toBe(true)
    expect(text.replaceAll(/\s/g, '')).toBe('x'.repeat(40))
  })
})

describe('the table of a comparison', () => {
  it('is no wider than the terminal', () => {
    const row = {
      ...{ database: 'db', retentionPolicy: 'rp', measurement: 'a long name '.repeat(8).trim() },
      ...{ added: 1, removed: 0, changed: 0, equal: 5, seriesAdded: 1, seriesRemoved: 0 },
    }
    const result = { left: 'a', right: 'b', measurements: [row], compared: 1, known: 0, lost: [] }
    const { summary = '' } = diffReport(result, 80)
    expect(Math.max(...summary.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80)
    const plain = diffReport(result).summary ?? ''
    expect(plain).toContain(row.measurement)
  })
})
