import type { TextStream } from './context.ts'

/** Cuts a text into lines between words, and words that are longer than a line anywhere. */
export function wrapWords(text: string, width: number): string[] {
  if (text.length <= width) return [text]
  const lines: string[] = []
  let rest = text
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width)
    const end = space > 0 ? space : width
    lines.push(rest.slice(0, end))
    rest = rest.slice(end).trimStart()
  }
  return [...lines, rest]
}

/** What follows the first line of a text. */
const INDENT = '  '
/** A terminal that is narrower is left to wrap by itself. */
const NARROWEST = 20

/** Returns a line as it is shown on a stream: on a terminal wrapped between words, elsewhere as it is. */
export function wrapFor(stream: Pick<TextStream, 'isTTY' | 'columns'>, line: string): string {
  const { isTTY, columns = 0 } = stream
  if (isTTY !== true || columns < NARROWEST || line.length <= columns) return line
  const [first = '', ...rest] = wrapWords(line, columns - INDENT.length)
  return [first, ...rest.map((each) => INDENT + each)].join('\n')
}
