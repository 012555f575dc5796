import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root folder of the project. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** One source file under `src/`. */
export interface Source {
  /** From `src/`, with slashes: `tsm/reader.ts`. */
  readonly path: string
  /** The folder right under `src/`, or the file's own name where it lies in `src/` itself. */
  readonly room: string
  /** The text without its comments. */
  readonly code: string
  /** What it imports, types and dynamic imports included: paths from `src/`, or the names of packages. */
  readonly imports: readonly string[]
}

/** Reads every TypeScript file under `src/`. */
export function readSources(): Source[] {
  const root = join(ROOT, 'src')
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  return names
    .map((name) => name.split(sep).join('/'))
    .filter((name) => name.endsWith('.ts') && !name.includes('/assembly/'))
    .sort()
    .map((path) => {
      const code = withoutComments(readFileSync(join(root, path), 'utf8'))
      const imports = importsOf(code).map((name) =>
        name.startsWith('.') ? posix.join(posix.dirname(path), name) : name,
      )
      return { path, room: path.split('/')[0] ?? path, code, imports }
    })
}

/** Returns the module names in `import`, `export ... from` and `import()` of `code`. */
export function importsOf(code: string): string[] {
  const forms = [
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\s*\(\s*['"]([^'"]+)['"]/g,
  ]
  return forms.flatMap((form) => [...code.matchAll(form)].map(([, name = '']) => name))
}

/** Returns `code` with its comments blanked; strings and templates are left alone. */
export function withoutComments(code: string): string {
  const tokens =
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|(?<![:\\/[])\/\/[^\n]*/g
  return code.replace(tokens, (_, string?: string) => string ?? ' ')
}
