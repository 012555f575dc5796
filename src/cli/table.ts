import { wrapWords } from './wrap.ts'

/** A column of a table for people. */
export interface Column {
  readonly title: string
  /** Default left. */
  readonly align?: 'left' | 'right' | undefined
  /** Whether its cells may take several lines where the table is too wide. */
  readonly wraps?: boolean | undefined
  /** Puts a piece of a cell into its colour, by what the whole cell says. */
  readonly paint?: ((piece: string, cell: string) => string) | undefined
}

/** Between two columns. */
const GAP = '  '
/** A column is made no narrower. */
const MIN_WIDTH = 8

/**
 * Returns the lines of a table: a line of titles, and one for each row, each column as wide as its widest cell. Where that is
 * wider than `width`, columns that may wrap get narrower, and their rows take several lines.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width?: number,
): string[] {
  const titles = columns.map(({ title }) => title)
  const natural = titles.map((title, i) =>
    rows.reduce((widest, row) => Math.max(widest, row[i]?.length ?? 0), title.length),
  )
  const widths = width === undefined ? natural : narrowed(columns, natural, width)
  return [
    ...rowLines(
      columns.map(({ paint: _, ...column }) => column),
      titles,
      widths,
    ),
    ...rows.flatMap((cells) => rowLines(columns, cells, widths)),
  ]
}

/** The widths of columns, those that may wrap taken from, the widest first, until the table fits or nothing can be done. */
function narrowed(
  columns: readonly Column[],
  natural: readonly number[],
  width: number,
): readonly number[] {
  const widths = [...natural]
  const total = () => widths.reduce((sum, each) => sum + each, (widths.length - 1) * GAP.length)
  const least = columns.map(({ title }) => Math.max(title.length, MIN_WIDTH))
  while (total() > width) {
    let widest = -1
    for (const [i, { wraps }] of columns.entries()) {
      if (wraps && (widths[i] ?? 0) > Math.max(least[i] ?? 0, widths[widest] ?? 0)) widest = i
    }
    if (widest < 0) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

function rowLines(
  columns: readonly Column[],
  cells: readonly string[],
  widths: readonly number[],
): string[] {
  const pieces = columns.map((_, i) => wrapWords(cells[i] ?? '', widths[i] ?? 0))
  const height = Math.max(...pieces.map(({ length }) => length))
  return Array.from({ length: height }, (_, line) =>
    columns
      .map(({ align, paint }, i) => {
        const piece = pieces[i]?.[line] ?? ''
        const width = widths[i] ?? 0
        const padding = ' '.repeat(Math.max(0, width - piece.length))
        const shown = paint === undefined || piece === '' ? piece : paint(piece, cells[i] ?? '')
        return align === 'right' ? padding + shown : shown + padding
      })
      .join(GAP)
      .trimEnd(),
  )
}
