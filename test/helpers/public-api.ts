import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

/** A name that the library exports, as the compiler declares it. */
export interface PublicName {
  readonly name: string
  readonly kind: string
  /** The file that declares it, from the root of the sources: `client/client`. */
  readonly file: string
  /** What its docstring says, without the marks of a comment. */
  readonly doc: string
  /** The declaration with the comments inside it; several for a function with overloads. */
  readonly text: string
}

/** A file of declarations, cut where the compiler starts a statement: at the left margin. */
interface Statement {
  readonly comment: string
  readonly text: string
}

const EXPORTS = /^export (?:type )?\{([\s\S]*)\} from ['"](\.[^'"]+)['"]/
const DECLARES = /^export (?:declare )?(?:abstract )?(class|interface|type|const|function) (\w+)/
const IMPORTS = /^import (?:type )?\{([\s\S]*)\} from ['"]\.[^'"]+['"]/

/**
 * Reads what `index.d.ts` exports, file by file and in the order of each file, out of declarations as `tsc` writes them.
 * @param dir where the declarations of `src/` are
 */
export function readPublicApi(dir: string): PublicName[] {
  const exported = [...exportsOf(dir, 'index')].map(([name, file]) => declared(dir, file, name))
  return exported.sort((a, b) => compare(a.file, b.file) || compare(a.name, b.name))
}

/** Finds the names of the project that a declaration needs and the library does not export. */
export function hiddenNames(dir: string, api: readonly PublicName[]): string[] {
  const known = new Set(api.map(({ name }) => name))
  const hidden = api.flatMap(({ name, file, text }) => {
    const statements = readStatements(dir, file)
    const local = statements.flatMap((statement) => [
      ...namesIn(IMPORTS.exec(statement.text)?.[1] ?? '').map(([, local]) => local),
      DECLARES.exec(statement.text.replace(/^(?!export)/, 'export '))?.[2] ?? '',
    ])
    const words = new Set(withoutComments(text).match(/\w+/g))
    return local
      .filter((word) => words.has(word) && !known.has(word))
      .map((word) => `${name}: ${word}`)
  })
  return [...new Set(hidden)]
}

/** Returns a declaration without the comments inside it, which are no part of a promise. */
export function withoutComments(text: string): string {
  return text.replaceAll(/^ *\/\*\*[\s\S]*?\*\/\n/gm, '')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The exported names of a file and the files that declare them. */
function exportsOf(dir: string, file: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const { text } of readStatements(dir, file)) {
    const [, list, from] = EXPORTS.exec(text) ?? []
    if (list === undefined || from === undefined) {
      const [, , name] = DECLARES.exec(text) ?? []
      if (name !== undefined) found.set(name, file)
      else if (text.startsWith('export ') && text !== 'export {};')
        throw new Error(`${file}: not understood: ${text}`)
      continue
    }
    const target = posix.join(posix.dirname(file), from.replace(/\.[jt]s$/, ''))
    const there = exportsOf(dir, target)
    for (const [name, local] of namesIn(list)) {
      const origin = there.get(name)
      if (origin === undefined || name !== local) throw new Error(`${file}: no ${name} in ${from}`)
      found.set(name, origin)
    }
  }
  return found
}

/** The pairs of `a, type b, c as d`: as the other file names them, as this one does. */
function namesIn(list: string): [string, string][] {
  return list
    .split(',')
    .map((item) => item.trim().replace(/^type /, ''))
    .filter((item) => item !== '')
    .map((item) => {
      const [name = '', local = name] = item.split(' as ')
      return [name, local]
    })
}

function declared(dir: string, file: string, name: string): PublicName {
  const all = readStatements(dir, file).filter(({ text }) => DECLARES.exec(text)?.[2] === name)
  const [first] = all
  if (first === undefined) throw new Error(`${file}: no declaration of ${name}`)
  const [, kind = ''] = DECLARES.exec(first.text) ?? []
  const text = all.map((each) => each.text.replace(/^export (?:declare )?/, '')).join('\n')
  return { name, kind, file, doc: docOf(first.comment), text }
}

function docOf(comment: string): string {
  return comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .replaceAll(/^ *\* ?/gm, '')
    .trim()
}

function readStatements(dir: string, file: string): Statement[] {
  const text = readFileSync(join(dir, `${file}.d.ts`), 'utf8')
  const parts = text.split(/^(?=\/\*\*|\/\/|[a-z])/m).map((part) => part.trim())
  return parts.flatMap((part, i) => {
    if (part.startsWith('/') || part === '') return []
    const before = parts[i - 1] ?? ''
    return [{ comment: before.startsWith('/**') ? before : '', text: part }]
  })
}
