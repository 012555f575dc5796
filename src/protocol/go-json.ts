import { asSnapError } from '../errors.ts'

/** What Go's encoder can be given here. Numbers are integers; those past 2^53 are bigints. */
export type GoJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly GoJson[]
  | { readonly [key: string]: GoJson }

/** A JSON number as it was written, so that nothing is lost past 2^53. */
export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Decoded JSON whose numbers are kept as text. */
export type ExactJson =
  | null
  | boolean
  | string
  | JsonNumber
  | readonly ExactJson[]
  | { readonly [key: string]: ExactJson }

/** What Go escapes and `JSON.stringify` does not, or writes in another way; lone surrogates are no UTF-8. */
const GO_ESCAPES = /[<>&\u2028\u2029]|\\[bf]|\\ud[89a-f][0-9a-f]{2}|\\\\/g

function escapeAsGo(match: string): string {
  if (match === '\\\\') return match
  if (match === '\\b') return '\\u0008'
  if (match === '\\f') return '\\u000c'
  if (match.startsWith('\\u')) return '\\ufffd'
  return `\\u${match.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function encodeString(text: string): string {
  return JSON.stringify(text).replace(GO_ESCAPES, escapeAsGo)
}

/** Encodes as Go's `json.Marshal` does: HTML escaped, no spaces, bigints as plain digits. */
export function encodeGoJson(value: GoJson): string {
  if (typeof value === 'string') return encodeString(value)
  if (typeof value !== 'object' || value === null) return String(value)
  if (isList(value)) return `[${value.map(encodeGoJson).join(',')}]`
  const fields = Object.entries(value).map(([key, field]) => [key, encodeGoJson(field)] as const)
  return `{${fields.map(([key, field]) => `${encodeString(key)}:${field}`).join(',')}}`
}

/** `Array.isArray` does not narrow a readonly array out of a union. */
function isList<T>(value: readonly T[] | object): value is readonly T[] {
  return Array.isArray(value)
}

const STRINGS_AND_NUMBERS = /"([^"\\]*(?:\\.[^"\\]*)*)"|-?\d[\d.eE+-]*/g

/** Undoes the tags of {@link decodeExactJson}; called by `JSON.parse` for every value, the innermost first. */
function untag(_key: string, value: unknown): unknown {
  if (typeof value === 'string') {
    return value.startsWith('n') ? new JsonNumber(value.slice(1)) : value.slice(1)
  }
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value) || value instanceof JsonNumber) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key.slice(1), field]))
}

/** Integers that a double holds and writes as they were written. */
const PLAIN_NUMBER = /^(?:0|-?[1-9]\d{0,14})$/

function hasPlainNumbers(text: string): boolean {
  const tokens = new RegExp(STRINGS_AND_NUMBERS)
  for (let token = tokens.exec(text); token !== null; token = tokens.exec(text)) {
    if (token[1] === undefined && !PLAIN_NUMBER.test(token[0])) return false
  }
  return true
}

function keepNumber(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? new JsonNumber(String(value)) : value
}

/**
 * Decodes JSON, keeping numbers as {@link JsonNumber}. Where one is more than a small integer the text is parsed twice: once to
 * hold it to the grammar, once with every string tagged `s` and every number turned into a string tagged `n`, which nothing in
 * the text can imitate.
 * @param what names the text in messages
 * @throws SnapError `E_PROTOCOL` if it is not JSON
 */
export function decodeExactJson(text: string, what: string): ExactJson {
  try {
    if (hasPlainNumbers(text)) return JSON.parse(text, keepNumber)
    JSON.parse(text)
    const tagged = text.replace(STRINGS_AND_NUMBERS, (token: string, inner?: string) =>
      inner === undefined ? `"n${token}"` : `"s${inner}"`,
    )
    return JSON.parse(tagged, untag)
  } catch (error) {
    throw asSnapError(error, 'E_PROTOCOL', `${what} is not JSON`)
  }
}
