/** A column of a table for people. */
export interface Column {
  readonly title: string
  /** Default left. */
  readonly align?: 'left' | 'right' | undefined
}

/** Returns the lines of a table: a line of titles, and one for each row, each column as wide as its widest cell. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const titles = columns.map(({ title }) => title)
  const widths = titles.map((title, i) =>
    rows.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), title.length),
  )
  return [titles, ...rows].map((cells) =>
    columns
      .map(({ align }, i) => {
        const cell = cells[i] ?? ''
        const width = widths[i] ?? 0
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
