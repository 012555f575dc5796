import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DEFAULT_HINTS } from '../../src/cli/hints.ts'
import { EXIT_CODES } from '../../src/errors.ts'
import { ROOT, readSources } from '../helpers/sources.ts'

const PAGE = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8')
/** Texts are cut into lines where they get too long. */
const SOURCES = readSources()
  .map(({ code }) => code)
  .join('\n')
  .replaceAll(/' \+\s+'/g, '')

/** Said by the system; the path comes before it. */
const OF_THE_SYSTEM = ['ENOSPC', 'EACCES']

/** The sections of the page, by what their heading says. */
const SECTIONS = new Map(
  PAGE.split('\n## ')
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n')
      return [heading, lines.join('\n')] as const
    }),
)

/** The messages in the tables of a section. */
function messagesIn(section: string): string[] {
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, message = '']) => message)
}

describe('docs/troubleshooting.md', () => {
  it('has every error code with its exit code, in their order', () => {
    const expected = Object.entries(EXIT_CODES).map(([code, exit]) => `${code}, exit code ${exit}`)
    expect([...SECTIONS.keys()]).toEqual(expected)
  })

  it.each(Object.entries(DEFAULT_HINTS))('tells what is said of %s', (code, hint) => {
    const [, section] = [...SECTIONS].find(([heading]) => heading.startsWith(`${code},`)) ?? []
    expect(section).toContain(`\n> hint: ${hint}\n`)
    expect(section?.replace(/^>.*$/m, '').trim()).not.toBe('')
  })

  it.each([...SECTIONS])('%s: knows the messages of the program', (_, section) => {
    const pieces = messagesIn(section).flatMap((message) =>
      message
        .split('…')
        .map((piece) => piece.trim())
        .filter((piece) => /\w/.test(piece)),
    )
    expect(
      pieces.filter((piece) => !SOURCES.includes(piece) && !OF_THE_SYSTEM.includes(piece)),
    ).toEqual([])
  })

  it('has a table of messages for most codes', () => {
    expect([...SECTIONS.values()].flatMap(messagesIn).length).toBeGreaterThan(45)
  })
})
