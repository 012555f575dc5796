import { describe, expect, it } from 'vitest'
import { type Column, tableLines } from '../../src/cli/table.ts'

const COLUMNS: readonly Column[] = [
  { title: 'set' },
  { title: 'size', align: 'right' },
  { title: 'state', wraps: true },
  { title: 'databases', wraps: true },
]
const ROWS = [
  ['one', '12 B', 'not checked, encrypted, pinned', 'telegraf, plant'],
  ['two', '3 B', 'verified', 'a-name-without-any-space-in-it'],
]

describe('a table', () => {
  it('is as wide as its cells', () => {
    expect(tableLines(COLUMNS.slice(0, 2), ROWS)).toEqual(['set  size', 'one  12 B', 'two   3 B'])
  })

  it('takes several lines for a row where there is little room', () => {
    const lines = tableLines(COLUMNS, ROWS, 40)
    expect(lines).toEqual([
      'set  size  state          databases',
      'one  12 B  not checked,   telegraf,',
      '           encrypted,     plant',
      '           pinned',
      'two   3 B  verified       a-name-without',
      '                          -any-space-in-',
      '                          it',
    ])
    expect(lines.every((line) => line.length <= 40)).toBe(true)
  })

  it('gets no narrower than can be read', () => {
    const lines = tableLines(COLUMNS, ROWS, 5)
    expect(Math.max(...lines.map((line) => line.length))).toBe(3 + 2 + 4 + 2 + 8 + 2 + 9)
  })

  it('paints words and not the room around them', () => {
    const paint = (piece: string, cell: string) => `<${cell.length}${piece}>`
    const [title, first] = tableLines([{ title: 'state', paint }, { title: 'x' }], [['ok', 'y']])
    expect([title, first]).toEqual(['state  x', '<2ok>     y'])
  })
})
