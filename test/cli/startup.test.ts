import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, posix } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ROOT, readSources } from '../helpers/sources.ts'

const PROGRAM = join(ROOT, 'dist/program')

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

  it('is in few files, which need nothing but those of Node', () => {
    const files = readdirSync(PROGRAM).filter((name) => name.endsWith('.cjs'))
    expect(files).toContain('main.cjs')
    expect(files.length).toBeLessThan(readSources().length / 2)
    const required = files.flatMap((name) => {
      const code = readFileSync(join(PROGRAM, name), 'utf8')
      return [...code.matchAll(/^.*\brequire\("([^"]+)"\)/gm)].map(([, id = '']) => id)
    })
    const inside = required.filter((name) => name.startsWith('./'))
    expect(inside.filter((name) => !files.includes(name.slice(2)))).toEqual([])
    expect(required.filter((name) => !name.startsWith('./') && !isBuiltin(name))).toEqual([])
  })

  it('has the program of each thread beside it, in one file', () => {
    const names = readdirSync(PROGRAM).filter((name) => name.endsWith('.js'))
    expect(names.sort()).toEqual(['check-program.js', 'stage-program.js'])
    for (const name of names) {
      const code = readFileSync(join(PROGRAM, name), 'utf8')
      expect(runtimeImports(code).filter((module) => !isBuiltin(module))).toEqual([])
    }
  })

  it('has the licences of the packages in these files', () => {
    const notices = readFileSync(join(PROGRAM, 'NOTICES.txt'), 'utf8')
    const manifest: { readonly dependencies: object } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const missing = Object.entries(manifest.dependencies).filter(
      ([name, version]) => !notices.includes(`${name} ${version} (`),
    )
    expect(missing).toEqual([])
    expect(notices.match(/Apache License\s+Version 2\.0/g)?.length).toBeGreaterThan(0)
  })

  it('takes the code that the build has kept', () => {
    const script = `
      import { openProgram } from '${pathToFileURL(join(ROOT, 'dist/cli/code-cache.js'))}'
      const program = openProgram(${JSON.stringify(PROGRAM)})
      program.load('main.cjs')
      console.log(JSON.stringify([...program.taken]))`
    const words = ['--input-type=module', '-e', script]
    const { NODE_V8_COVERAGE: _, ...env } = process.env
    const taken: unknown = JSON.parse(execFileSync(process.execPath, words, { env }).toString())
    expect(taken).toContain('main.cjs')
  })
})
