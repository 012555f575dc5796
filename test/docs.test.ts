import { existsSync, readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { buildProgram } from '../src/cli/program.ts'
import { contextOf } from './cli/harness.ts'
import { ROOT } from './helpers/sources.ts'

/** Every page, by its path from the root of the project. */
const PAGES = new Map<string, string>()
for (const name of ['README.md', 'CONTRIBUTING.md', ...(await pagesIn('docs'))]) {
  PAGES.set(name, await readFile(join(ROOT, name), 'utf8'))
}

async function pagesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(ROOT, folder), { recursive: true })
  return names.filter((name) => name.endsWith('.md')).map((name) => posix.join(folder, name))
}

const COMMANDS = buildProgram(contextOf([])).commands.filter((command) => command.name() !== 'help')
const NAMES = COMMANDS.map((command) => command.name())

function flagsOf(command: Command): string[] {
  return command.options.flatMap(({ long }) => long ?? [])
}

/** Long options in a text, but those of programs that are not ours. */
function flagsIn(text: string): string[] {
  const ours = text.replaceAll(/\b(?:npm|npx|node|influx|docker) [^`\n]*/g, '')
  return [...new Set(ours.match(/(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]/g))]
}

/** The anchors of a page, as Markdown makes them of its headings. */
function anchorsOf(page: string): string[] {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text)
  return headings.map((text) =>
    text
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** The page that describes a command: it has the name in a heading or, for the least of them, in a list. */
function pageFor(command: string): string | undefined {
  const named = new RegExp(`^(?:#+ .*|- \`)\\bsnap ${command}\\b`, 'm')
  return [...PAGES].find(([, page]) => named.test(page))?.[0]
}

describe('the options in the pages', () => {
  it.each([...PAGES.keys()])('of %s are options of some command', (name) => {
    const ofOthers = ['--max-old-space-size']
    const known = new Set([...COMMANDS.flatMap(flagsOf), '--help', '--version', ...ofOthers])
    expect(flagsIn(PAGES.get(name) ?? '').filter((flag) => !known.has(flag))).toEqual([])
  })

  it.each(NAMES)('of snap %s are all on its page, or on one that it shares them with', (name) => {
    const shared = [
      'scripting',
      'backup',
      's3',
      'locks',
      'monitoring',
      'migrate',
      'merge',
      'encryption',
    ].map((page) => `docs/${page}.md`)
    const pages = [pageFor(name) ?? '', ...shared].map((page) => PAGES.get(page) ?? '')
    const described = new Set(flagsIn(pages.join('\n')))
    const options = COMMANDS.filter((command) => command.name() === name).flatMap(flagsOf)
    expect(options.filter((flag) => !described.has(flag))).toEqual([])
  })
})

describe('the pages', () => {
  it.each(NAMES)('describe snap %s', (name) => {
    expect(pageFor(name)).toBeDefined()
  })

  it('are all in the index', () => {
    const index = PAGES.get('docs/index.md') ?? ''
    const pages = [...PAGES.keys()].filter((name) => name.startsWith('docs/'))
    const missing = pages.filter((name) => !index.includes(`](${posix.relative('docs', name)})`))
    expect(missing).toEqual(['docs/index.md'])
  })

  it.each([...PAGES])('%s links to what is there', (name, page) => {
    const links = [...page.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)]
    const broken = links.filter(([, path = '', anchor]) => {
      const target = path === '' ? name : posix.join(posix.dirname(name), path)
      if (!existsSync(join(ROOT, target))) return true
      return anchor !== undefined && !anchorsOf(PAGES.get(target) ?? '').includes(anchor)
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })

  it('prove each row of the table in the README by a test that is there', () => {
    const [, table = ''] = (PAGES.get('README.md') ?? '').split('| held by |\n|---|---|---|\n')
    const rows = (table.split('\n\n')[0] ?? '').split('\n')
    expect(rows.length).toBeGreaterThan(8)
    const links = rows.map((row) => /\]\((test\/[^ )]+) "([^"]+)"\) \|$/.exec(row) ?? [row])
    const wrong = links.filter(([, path, title]) => {
      if (path === undefined || !existsSync(join(ROOT, path))) return true
      // The title of a test, or of the group that it is of.
      return !readFileSync(join(ROOT, path), 'utf8').includes(`'${title}'`)
    })
    expect(wrong.map(([link]) => link)).toEqual([])
  })

  it('count the failures of others in the README as reliability.md does', () => {
    const [, section = ''] = (PAGES.get('docs/reliability.md') ?? '').split(
      '## What others got wrong',
    )
    const rows = section.split('\n').filter((line) => line.startsWith('| ')).length - 1
    expect(PAGES.get('README.md')).toContain(`[all ${rows} of them]`)
  })

  it('name every command in the README', () => {
    const readme = PAGES.get('README.md') ?? ''
    expect(NAMES.filter((name) => !readme.includes(`[\`snap ${name}\`]`))).toEqual([])
  })

  it('have a schema for every command that prints JSON, and link it', () => {
    const text = [...PAGES.values()].join('\n')
    const missing = NAMES.filter((name) => {
      const file = `schemas/${name}.json`
      return !existsSync(join(ROOT, 'docs', file)) || !text.includes(`](${file})`)
    })
    expect(missing).toEqual([])
  })
})
