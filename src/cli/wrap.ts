import type { TextStream } from './context.ts'

/** Cuts a text into lines between words, and words that are longer than a line anywhere. Colours take no room. */
export function wrapWords(text: string, width: number): string[] {
  const lines: string[] = []
  let rest = text
  for (;;) {
    const end = endOfLine(rest, width)
    if (end === undefined) return [...lines, rest]
    lines.push(rest.slice(0, end))
    rest = rest.slice(end).trimStart()
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin so
const COLOR = /\u001b\[[\d;]*m/y

/** Returns where a text that is wider than a line is to be cut. */
function endOfLine(text: string, width: number): number | undefined {
  if (text.length <= width) return undefined
  let [column, space] = [0, 0]
  for (let at = 0; at < text.length; ) {
    COLOR.lastIndex = at
    const [color = ''] = COLOR.exec(text) ?? []
    at += color.length
    if (color !== '' || at >= text.length) continue
    if (text[at] === ' ') space = at
    if (column === width) return space > 0 ? space : at
    column++
    at++
  }
  return undefined
}

/** What follows the first line of a text. */
const INDENT = '  '
/** A terminal that is narrower is left to wrap by itself. */
const NARROWEST = 20

type Screen = Pick<TextStream, 'isTTY' | 'columns'>

/** Returns a line as it is shown on a stream: on a terminal wrapped between words, elsewhere as it is. */
export function wrapFor({ isTTY, columns = 0 }: Screen, line: string): string {
  if (isTTY !== true || columns < NARROWEST || endOfLine(line, columns) === undefined) return line
  const [margin = ''] = /^ */.exec(line) ?? []
  const room = Math.max(columns - margin.length - INDENT.length, NARROWEST - INDENT.length)
  const [first = '', ...rest] = wrapWords(line.slice(margin.length), room)
  return [margin + first, ...rest.map((each) => margin + INDENT + each)].join('\n')
}

/** Returns a text of several lines as {@link wrapFor} shows each. */
export function wrapLinesFor(screen: Screen, text: string): string {
  return text
    .split('\n')
    .map((line) => wrapFor(screen, line))
    .join('\n')
}
