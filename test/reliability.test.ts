import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { breaksOf } from './faults/breaks.ts'
import { COMMANDS } from './faults/commands.ts'
import { SERVERS } from './faults/scene.ts'
import { ROOT } from './helpers/sources.ts'

const PAGE = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8')

/** The rows of the tables under a heading, without their heads. */
function rowsOf(heading: string): string[][] {
  const [, section = ''] = PAGE.split(`\n## ${heading}\n`)
  const [text = ''] = section.split('\n## ')
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
    .filter((cells, i, all) => !isRule(cells) && !isRule(all[i + 1] ?? []))
}

const isRule = (cells: readonly string[]) =>
  cells.length > 0 && cells.every((cell) => /^-+$/.test(cell))

describe('docs/reliability.md', () => {
  // That what is linked exists is held for all pages at once, by docs.test.ts.
  it.each(['Promises', 'Faults on the wire', 'Disk faults', 'Bad peers', 'What others got wrong'])(
    'names a test in every row of "%s"',
    (heading) => {
      const rows = rowsOf(heading)
      expect(rows.length).toBeGreaterThan(3)
      expect(
        rows.filter((cells) => !/\]\(\.\.\/test\/[^)]+\.ts\)/.test(cells.at(-1) ?? '')),
      ).toEqual([])
    },
  )

  it('counts the cases of lines that break', () => {
    const count = (isSlow: boolean) =>
      SERVERS.length * COMMANDS.flatMap((command) => breaksOf(command, isSlow)).length
    const steps = SERVERS.length * COMMANDS.flatMap(({ steps }) => steps).length
    expect(PAGE).toContain(`${count(true)} places, of which every run meets ${count(false)}`)
    expect(PAGE).toContain(`each of the ${steps} kinds of request`)
  })
})
