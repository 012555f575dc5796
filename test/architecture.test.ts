import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importsOf, ROOT, readSources, withoutComments } from './helpers/sources.ts'

/** The rooms of `src/` from the ground up: a room imports from lower levels and from itself. */
const LEVELS: readonly (readonly string[])[] = [
  ['errors.ts', 'suggest.ts'],
  ['io'],
  ['protocol', 'meta', 'tar', 'tsm', 'wal', 'age'],
  ['client', 'service', 'datadir', 'portable', 'storage', 'formats'],
  ['operations'],
  ['cli', 'index.ts'],
]

/** Imports within a level that are meant. */
const SIDEWAYS: ReadonlySet<string> = new Set(['wal -> tsm'])

const sources = readSources()
const levelOf = (room: string) => LEVELS.findIndex((rooms) => rooms.includes(room))

describe('the rooms of src/', () => {
  it('are the ones this test and docs/architecture.md know', () => {
    const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
    const rooms = [...new Set(sources.map(({ room }) => room))]
    expect(rooms.filter((room) => levelOf(room) < 0)).toEqual([])
    const listed = (room: string) => page.includes(`\n  ${room.includes('.') ? room : `${room}/`} `)
    expect(LEVELS.flat().filter((room) => !listed(room))).toEqual([])
  })

  it('import only from below', () => {
    const wrong = sources.flatMap(({ path, room, imports }) =>
      imports
        .filter((name) => name.endsWith('.ts'))
        .filter((name) => !mayImport(room, name.split('/')[0] ?? name))
        .map((name) => `${path} -> ${name}`),
    )
    expect(wrong).toEqual([])
  })

  it('import files that are there, by their whole name', () => {
    const paths = new Set(sources.map(({ path }) => path))
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter((name) => name.endsWith('.ts') || name.endsWith('.js') || name.startsWith('..'))
        .filter((name) => !paths.has(name))
        .map((name) => `${path} -> ${name}`),
    )
    expect(wrong).toEqual([])
  })

  it('have no import cycle, types included', () => {
    const graph = new Map(sources.map(({ path, imports }) => [path, imports]))
    expect(findCycle(graph)).toEqual([])
  })

  it('leave printing, arguments and exit codes to cli', () => {
    const terminal = /\bconsole\.|\bprocess\.(?:stdout|stderr|stdin|exit|exitCode|argv)\b/
    const wrong = sources.filter(({ room, code }) => room !== 'cli' && terminal.test(code))
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  it('keep sockets and files out of the formats', () => {
    const formats = new Set(['protocol', 'meta', 'tar', 'age', 'formats'])
    const system = /^node:(?:net|tls|http|https|fs|fs\/promises|child_process|worker_threads)$/
    const wrong = sources
      .filter(({ room }) => formats.has(room))
      .flatMap(({ path, imports }) =>
        imports.filter((name) => system.test(name)).map((name) => `${path} -> ${name}`),
      )
    expect(wrong).toEqual([])
  })
})

describe('the reading of imports', () => {
  it('sees every form and no comment', () => {
    const code = [
      "import { a } from './a.ts'",
      "import type { B } from '../b.ts'",
      "import {\n  c,\n  d,\n} from './c.ts'",
      "import './d.ts'",
      "export * from './e.ts'",
      "export type { F } from './f.ts'",
      "const g = await import('./g.ts')",
      "// import './no.ts'",
      "/* import './no.ts' */",
      "const url = 'http://x//y'",
    ].join('\n')
    const found = ['a', 'c', 'e', 'f', 'd', 'g'].map((name) => `./${name}.ts`)
    expect(importsOf(withoutComments(code)).sort()).toEqual([...found, '../b.ts'].sort())
    expect(withoutComments(code)).toContain('http://x//y')
  })

  it('finds a cycle', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['c', ['a']],
      ['d', []],
    ])
    expect(findCycle(graph)).toEqual(['a', 'b', 'c', 'a'])
  })
})

function mayImport(from: string, to: string): boolean {
  if (from === to || SIDEWAYS.has(`${from} -> ${to}`)) return true
  return levelOf(to) >= 0 && levelOf(to) < levelOf(from)
}

/** Returns the files of one cycle with the first repeated at the end, or nothing. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return []
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node])
      if (cycle.length > 0) return cycle
    }
    done.add(node)
    return []
  }
  for (const node of graph.keys()) {
    const cycle = visit(node, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
