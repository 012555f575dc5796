import { printable } from '../format.ts'

/** A piece of markup, made by {@link html} alone: whatever was put into it is escaped. */
export interface Html {
  readonly markup: string
}

/** What may be put into markup: text is escaped, nothing stands for nothing. */
export type HtmlValue = string | number | Html | readonly Html[] | undefined | false

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Escapes text for the inside of elements and of attributes in quotes. Control characters are replaced. */
export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char)
}

/** The tag of templates that are markup. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const markup = strings.map((text, index) => text + markupOf(values[index])).join('')
  return { markup }
}

function markupOf(value: HtmlValue): string {
  if (value === undefined || value === false) return ''
  if (typeof value === 'string') return escapeHtml(value)
  if (typeof value === 'number') return String(value)
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('')
}
