import type { FieldType } from '../../src/tsm/values.ts'
import type { Value } from './blocks.ts'

/** A value that a line said, names as they stand in the line. */
export interface Line {
  readonly seriesKey: string
  readonly field: string
  readonly type: FieldType
  readonly value: Value
  readonly time: bigint
}

/** Parses line protocol with one field a line; text is latin1, so that every byte is one character. */
export function parseLines(text: string): Line[] {
  const lines: Line[] = []
  for (let at = 0; at < text.length; ) {
    const keyEnd = endOf(text, at, ' ')
    const nameEnd = endOf(text, keyEnd + 1, '=')
    const valueEnd =
      text[nameEnd + 1] === '"' ? endOfString(text, nameEnd + 2) + 1 : text.indexOf(' ', nameEnd)
    const end = text.indexOf('\n', valueEnd)
    lines.push({
      seriesKey: text.slice(at, keyEnd),
      field: text.slice(keyEnd + 1, nameEnd).replace(/\\([,= "])/g, '$1'),
      ...parseValue(text.slice(nameEnd + 1, valueEnd)),
      time: BigInt(text.slice(valueEnd + 1, end)),
    })
    at = end + 1
  }
  return lines
}

/** The first `stop` without a backslash before it. */
function endOf(text: string, from: number, stop: string): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === stop && text[i - 1] !== '\\') return i
  }
  throw new Error(`no ${stop} after ${from} in ${JSON.stringify(text)}`)
}

function endOfString(text: string, from: number): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1
    else if (text[i] === '"') return i
  }
  throw new Error(`no end of the string at ${from} in ${JSON.stringify(text)}`)
}

function parseValue(text: string): { type: FieldType; value: Value } {
  if (text.startsWith('"')) {
    return { type: 'string', value: text.slice(1, -1).replace(/\\(["\\])/g, '$1') }
  }
  if (text === 'true' || text === 'false') return { type: 'boolean', value: text === 'true' }
  if (text.endsWith('i')) return { type: 'integer', value: BigInt(text.slice(0, -1)) }
  if (text.endsWith('u')) return { type: 'unsigned', value: BigInt(text.slice(0, -1)) }
  return { type: 'float', value: Number(text) }
}
