import { formatCount } from '../format.ts'
import { type Html, type HtmlValue, html } from './html.ts'

/** A table of a page. The first cell of each row is its heading. */
export interface TableSpec<T> {
  /** Unique in the page. */
  readonly id: string
  /** Words to open it with; without them it is open. */
  readonly summary?: string | undefined
  readonly caption: string
  readonly columns: readonly {
    readonly title: string
    readonly cell: (row: T) => HtmlValue
    readonly align?: 'right' | undefined
  }[]
}

/** Makes a table of the first rows, which scrolls by itself where it is wider than the screen. */
export function tableHtml<T>(spec: TableSpec<T>, rows: readonly T[], most: number): Html {
  const { id, summary, caption, columns } = spec
  const left = rows.length - most
  const table = html`<div class="scroll" role="region" aria-labelledby="${id}" tabindex="0"><table><caption id="${id}">${caption}</caption>
<thead><tr>${columns.map(({ title, align }) => html`<th scope="col"${align && html` class="num"`}>${title}</th>`)}</tr></thead>
<tbody>${rows.slice(0, most).map((row) => rowHtml(spec, row))}</tbody></table></div>${left > 0 && html`<p class="quiet">and ${formatCount(left)} more</p>`}`
  if (summary === undefined) return table
  return html`<details><summary>${summary}</summary>${table}</details>`
}

function rowHtml<T>({ columns }: TableSpec<T>, row: T): Html {
  const cells = columns.map(({ cell, align }, index) => {
    const look = align && html` class="num"`
    return index === 0
      ? html`<th scope="row"${look}>${cell(row)}</th>`
      : html`<td${look}>${cell(row)}</td>`
  })
  return html`<tr>${cells}</tr>
`
}
