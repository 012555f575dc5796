import { type Html, html } from './html.ts'
import { percent } from './words.ts'

/** A bar in a lane, from 0 to 1. */
export interface Bar {
  readonly from: number
  readonly to: number
  /** How it looks: a class of the style sheet. */
  readonly look: string
  readonly title?: string | undefined
}

/** A row of bars, as a picture. */
export interface Lane {
  /** Unique in the page. */
  readonly id: string
  readonly title: string
  readonly description: string
  readonly bars: readonly Bar[]
  /** Lines across it. */
  readonly marks?: readonly { readonly at: number; readonly look: string }[] | undefined
  /** Words below it. */
  readonly ticks?: readonly { readonly at: number; readonly text: string }[] | undefined
}

/** More bars than these are drawn without a gap between them: they would be nothing but gaps. */
const APART = 60
const HEIGHT = 22
const TICKS = 18

/** Draws a lane. Coordinates across are shares of the width, so that words keep their size on every screen. */
export function laneSvg({ id, title, description, bars, marks = [], ticks = [] }: Lane): Html {
  const height = HEIGHT + (ticks.length > 0 ? TICKS : 0)
  const apart = bars.length <= APART && 'apart'
  return html`<svg class="lane" role="img" aria-labelledby="${id}-t ${id}-d" width="100%" height="${height}"><title id="${id}-t">${title}</title><desc id="${id}-d">${description}</desc><rect class="ground" width="100%" height="${HEIGHT}" rx="3"/><g class="${apart}">${bars.map(barRect)}</g>${marks.map(
    ({ at, look }) =>
      html`<line class="m-case" x1="${percent(at)}" x2="${percent(at)}" y1="0" y2="${HEIGHT}"/><line class="${look}" x1="${percent(at)}" x2="${percent(at)}" y1="0" y2="${HEIGHT}"/>`,
  )}${ticks.map(
    ({ at, text }) =>
      html`<text x="${percent(at)}" y="${HEIGHT + 13}" text-anchor="${anchorOf(at)}">${text}</text>`,
  )}</svg>`
}

function barRect({ from, to, look, title }: Bar): Html {
  const width = Math.max(to - from, 0.002)
  return html`<rect class="${look}" x="${percent(from)}" width="${percent(width)}" height="${HEIGHT}">${title !== undefined && html`<title>${title}</title>`}</rect>`
}

/** Words at the edges stay within them. */
export function anchorOf(at: number): 'start' | 'middle' | 'end' {
  if (at < 0.15) return 'start'
  return at > 0.85 ? 'end' : 'middle'
}

/** Says in a legend what a look means. */
export function keyItem(look: string, text: string): Html {
  return html`<li><svg width="22" height="14" aria-hidden="true"><rect class="${look}" width="22" height="14" rx="2"/></svg>${text}</li>`
}
