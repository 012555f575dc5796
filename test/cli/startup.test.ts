import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, readSources } from '../helpers/sources.ts'

/** What a command may need before it runs; everything else comes with `await import()` in its work. */
const LIGHT_PACKAGES = ['commander']
const LIGHT_FILES = [
  'errors.ts',
  'suggest.ts',
  'io/pending.ts',
  'client/address.ts',
  'portable/names.ts',
  'protocol/go-time.ts',
  'protocol/influx-duration.ts',
]

/** The modules that are loaded at once: no types, no `import()`. */
function runtimeImports(code: string): string[] {
  const statement = /^\s*(?:import|export)\s+(?!type\b)[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm
  return [...code.matchAll(statement)].map(([, name = '']) => name)
}

describe('the start of the program', () => {
  it('loads declarations alone, so that help and version come at once', () => {
    const codes = new Map(readSources().map(({ path, code }) => [path, code]))
    const loaded = new Set<string>()
    const visit = (path: string) => {
      if (loaded.has(path)) return
      loaded.add(path)
      for (const name of runtimeImports(codes.get(path) ?? '')) {
        if (name.startsWith('.')) visit(posix.join(posix.dirname(path), name))
        else loaded.add(`package ${name}`)
      }
    }
    visit('cli/main.ts')
    expect(loaded).toContain('cli/commands/version.ts')
    const heavy = [...loaded]
      .filter((path) => !path.startsWith('cli/') && !path.startsWith('package node:'))
      .filter((path) => !LIGHT_FILES.includes(path))
      .filter((path) => !LIGHT_PACKAGES.includes(path.replace('package ', '')))
    expect(heavy).toEqual([])
  })

  it('is in few files, with packages left to where they are installed', () => {
    const folder = join(ROOT, 'dist/program')
    const files = readdirSync(folder)
    expect(files).toContain('main.js')
    expect(files.length).toBeLessThan(readSources().length / 2)
    const imported = files.flatMap((name) =>
      runtimeImports(readFileSync(join(folder, name), 'utf8')),
    )
    expect(imported).toContain('commander')
    const inside = imported.filter((name) => name.startsWith('.'))
    expect(inside.filter((name) => !files.includes(name.slice(2)))).toEqual([])
  })
})
