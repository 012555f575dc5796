import { SnapError } from '../errors.ts'

/** A piece of InfluxQL: a name (quoted or not), space and comments, or anything else. */
export interface Token {
  readonly kind: 'name' | 'word' | 'regex' | 'symbol' | 'other' | 'space'
  /** As it is written. */
  readonly text: string
  /** What a name says, without its quotes; of an unquoted one (`word`) the text. */
  readonly value: string
}

/** The longest statement that is read, in characters. */
const MAX_LENGTH = 1024 * 1024

const SPACE = /(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/y
const QUOTED = /"(?:[^"\\\n]|\\["\\n'])*"/y
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y
const STRING = /'(?:[^'\\\n]|\\['"\\n])*'/y
const NUMBER = /\d+[0-9a-zA-Zµ]*(?:\.\d+[0-9a-zA-Zµ]*)?|\.\d+/y
const REGEX = /\/(?:[^/\\\n]|\\.)*\//y
const SYMBOL = /[.,:;()]/y
const OPERATOR = /=~|!~|!=|<>|<=|>=|::|[-+*/%&|^=<>$]/y

/** After these a slash begins a regular expression, after other words and names it divides. */
const BEFORE_REGEX = new Set(['SELECT', 'FROM', 'BY', 'WHERE', 'AND', 'OR', 'INTO'])

/**
 * Cuts InfluxQL into pieces that together are the text again.
 * @throws SnapError `E_FORMAT` at what is no InfluxQL
 */
export function tokenize(text: string): Token[] {
  if (text.length > MAX_LENGTH) {
    throw new SnapError('E_FORMAT', `statement of ${text.length} characters`)
  }
  const tokens: Token[] = []
  let last: Token | undefined
  for (let at = 0; at < text.length; ) {
    const token = nextToken(text, at, last)
    if (token === undefined) {
      const shown = JSON.stringify(text.slice(at, at + 20))
      throw new SnapError('E_FORMAT', `not understood at character ${at + 1}: ${shown}`)
    }
    tokens.push(token)
    if (token.kind !== 'space') last = token
    at += token.text.length
  }
  return tokens
}

function nextToken(text: string, at: number, last: Token | undefined): Token | undefined {
  const take = (pattern: RegExp, kind: Token['kind']) => {
    pattern.lastIndex = at
    const [found] = pattern.exec(text) ?? []
    return found === undefined ? undefined : { kind, text: found, value: found }
  }
  const space = take(SPACE, 'space')
  if (space !== undefined) return space
  const quoted = take(QUOTED, 'name')
  if (quoted !== undefined) return { ...quoted, value: unquote(quoted.text) }
  return (
    take(WORD, 'word') ??
    take(STRING, 'other') ??
    (mayBeRegex(last) ? take(REGEX, 'regex') : undefined) ??
    take(NUMBER, 'other') ??
    take(SYMBOL, 'symbol') ??
    take(OPERATOR, 'other')
  )
}

function mayBeRegex(last: Token | undefined): boolean {
  if (last === undefined) return true
  if (last.kind === 'word') return BEFORE_REGEX.has(last.text.toUpperCase())
  if (last.kind === 'symbol') return last.text !== ')'
  return last.kind === 'other' && !/^['\d]/.test(last.text)
}

function unquote(text: string): string {
  return text
    .slice(1, -1)
    .replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
}

/** Quotes a name for InfluxQL. */
export function quoteName(name: string): string {
  return `"${name.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
}

/** Quotes a string for InfluxQL. */
export function quoteString(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&').replaceAll('\n', '\\n')}'`
}
