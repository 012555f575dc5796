import { formatDuration } from '../format.ts'
import { type Html, html } from './html.ts'

/** A time as people read it, to the minute, in UTC. */
export function minuteText(time: Date): string {
  return time.toISOString().slice(0, 16).replace('T', ' ')
}

/** A time of a shard: the day alone where it is midnight. */
export function dayText(time: Date): string {
  const text = minuteText(time)
  return text.endsWith(' 00:00') ? text.slice(0, -6) : text
}

/** The times from one to another, in few words. */
export function rangeText({ start, end }: { readonly start: Date; readonly end: Date }): string {
  return `${dayText(start)} to ${dayText(end)}`
}

/** A time in a page. */
export function timeTag(time: Date): Html {
  return html`<time datetime="${time.toISOString()}">${minuteText(time)}</time>`
}

/** How long ago something was, or how soon it will be. */
export function agoText(time: Date, now: Date): string {
  const ms = now.getTime() - time.getTime()
  return ms >= 0 ? `${spanText(ms)} ago` : `in ${spanText(-ms)}`
}

/** In ms. */
export const DAY = 86_400_000

/** A duration in one or two units, without fractions of a second, for ages and intervals. */
export function spanText(ms: number): string {
  const days = ms / DAY
  const hours = ms / 3_600_000
  if (days >= 730) return `${(days / 365.25).toFixed(1)} years`
  if (days >= 14) return `${Math.round(days)} days`
  if (hours >= 10 && hours < 48) return `${Math.round(hours)}h`
  return formatDuration(ms < 60_000 ? Math.round(ms / 1000) * 1000 : ms).replace(/\.0s$/, 's')
}

/** A name from outside: its direction of writing does not change what stands around it. */
export function nameTag(name: string): Html {
  return html`<bdi>${name}</bdi>`
}

/** A share of a whole as an SVG coordinate, `12.34%`. */
export function percent(part: number): string {
  return `${Number((part * 100).toFixed(2))}%`
}
