import type { Report, ReportSet } from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatDuration } from '../format.ts'
import { type Html, html } from './html.ts'
import { anchorOf } from './lanes.ts'
import { dayText, percent, spanText } from './words.ts'

/** A number that changes from set to set. */
interface Series {
  readonly id: string
  readonly title: string
  /** What it is, in a sentence. */
  readonly about: string
  readonly valueOf: (set: ReportSet) => number | undefined
  readonly format: (value: number) => string
  /** True if each set stands for itself: then the largest value says more than how it has changed. */
  readonly isEach?: boolean | undefined
  /** Said where no set has it. */
  readonly unknown: string
}

interface Point {
  readonly time: number
  readonly value: number
}

/** More points than these could not be told apart. */
const MAX_POINTS = 160
/** Up to so many, each is a dot that tells its value. */
const MAX_DOTS = 40
const HEIGHT = 110
const TICKS = 20

const NOT_RECORDED = 'No set here records it: older versions, influxd and encrypted sets do not.'

const SERIES: readonly Series[] = [
  {
    id: 'size',
    title: 'Data',
    about: 'Size of all shards in a set, before compression.',
    valueOf: ({ comparable, bytes }) => (comparable ? bytes : undefined),
    format: formatBytes,
    unknown: 'No set can be read.',
  },
  {
    id: 'stored',
    title: 'Stored',
    about: 'What each set added to the target.',
    valueOf: ({ stored }) => (stored > 0 ? stored : undefined),
    isEach: true,
    format: formatBytes,
    unknown: 'No set can be read.',
  },
  {
    id: 'points',
    title: 'Points',
    about: 'Values in all shards of a set.',
    valueOf: ({ comparable, points }) => (comparable ? points : undefined),
    format: short,
    unknown: NOT_RECORDED,
  },
  {
    id: 'series',
    title: 'Series, at least',
    about:
      'For each policy the shard with the most series, added up: a lower bound of the cardinality.',
    valueOf: ({ comparable, series }) => (comparable ? series : undefined),
    format: short,
    unknown: NOT_RECORDED,
  },
  {
    id: 'duration',
    title: 'Duration',
    about: 'How long each backup took.',
    valueOf: ({ durationMs }) => durationMs,
    isEach: true,
    format: formatDuration,
    unknown: 'No set here records it: older versions and influxd do not.',
  },
]

/** Draws how the target grows, and how long that takes. */
export function growthSection({ sets }: Pick<Report, 'sets'>): Html {
  const oldestFirst = sets.toReversed()
  return html`<section aria-labelledby="growth"><h2 id="growth">Growth and durations</h2>
<p class="lead">From set to set, by the time at which each was begun. The numbers are in the table of sets.</p>
<div class="charts">${SERIES.map((series) => chartCard(series, oldestFirst))}</div></section>`
}

function chartCard(series: Series, sets: readonly ReportSet[]): Html {
  const points = sets.flatMap((set): Point[] => {
    const value = series.valueOf(set)
    return value === undefined ? [] : [{ time: Date.parse(set.time), value }]
  })
  const last = points.at(-1)
  const body =
    last === undefined
      ? html`<p class="quiet">${series.unknown}</p>`
      : html`<p class="now">${series.format(last.value)} <small>${series.isEach ? largestText(series, points) : changeText(points)}</small></p>${chartSvg(series, points)}`
  return html`<figure class="card chart"><figcaption><h3>${series.title}</h3><p>${series.about}</p></figcaption>${body}</figure>
`
}

function largestText({ format }: Series, points: readonly Point[]): string {
  return `the newest; ${format(largestOf(points).value)} at most`
}

function largestOf(points: readonly Point[]): Point {
  return points.reduce((a, b) => (b.value > a.value ? b : a))
}

/** How much the last value differs from the first. */
function changeText(points: readonly Point[]): string {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined || first === last) return 'one set'
  const over = `in ${spanText(last.time - first.time)}`
  if (first.value === 0) return over
  const change = (last.value / first.value - 1) * 100
  if (Math.abs(change) < 0.5) return `unchanged ${over}`
  const times = last.value / first.value
  return times >= 10
    ? `${times.toFixed(0)} times as much ${over}`
    : `${change > 0 ? '+' : '−'}${Math.abs(change).toFixed(0)}% ${over}`
}

function chartSvg({ id, title, format }: Series, all: readonly Point[]): Html {
  const points = fewer(all)
  const top = niceTop(all.reduce((most, { value }) => Math.max(most, value), 0))
  const begin = points[0]?.time ?? 0
  const end = points.at(-1)?.time ?? 0
  const xOf = ({ time }: Point) => (end === begin ? 0.5 : (time - begin) / (end - begin))
  const yOf = ({ value }: Point) => HEIGHT - (value / top) * HEIGHT
  const line = points.map((point) => `${round(xOf(point) * 1000)},${round(yOf(point))}`).join(' ')
  const dots = points.length <= MAX_DOTS ? points : []
  const largest = largestOf(all)
  const description = `${all.length} sets from ${dayText(new Date(begin))} to ${dayText(new Date(end))}; the largest is ${format(largest.value)} at ${dayText(new Date(largest.time))}, the last ${format(all.at(-1)?.value ?? 0)}`
  const grid = [1, 0.5].map((share) => ({ y: HEIGHT * (1 - share), text: format(top * share) }))
  return html`<svg class="plot" role="img" aria-labelledby="g-${id}-t g-${id}-d" width="100%" height="${HEIGHT + TICKS + 12}"><title id="g-${id}-t">${title}</title><desc id="g-${id}-d">${description}</desc><g transform="translate(0 12)">${grid.map(
    ({ y }) => html`<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}"/>`,
  )}<line class="axis" x1="0" x2="100%" y1="${HEIGHT}" y2="${HEIGHT}"/><svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" width="100%" height="${HEIGHT}"><polygon class="area" points="${round(xOf(points[0] ?? NOWHERE) * 1000)},${HEIGHT} ${line} ${round(xOf(points.at(-1) ?? NOWHERE) * 1000)},${HEIGHT}"/><polyline class="line" points="${line}"/></svg>${grid.map(({ y, text }) => html`<text x="0" y="${y - 3}">${text}</text>`)}${dots.map(
    (point) =>
      html`<circle class="dot" cx="${percent(xOf(point))}" cy="${round(yOf(point))}" r="3"><title>${dayText(new Date(point.time))}: ${format(point.value)}</title></circle>`,
  )}${ticksOf(begin, end).map(
    (time) =>
      html`<text x="${percent(xOf({ time, value: 0 }))}" y="${HEIGHT + 15}" text-anchor="${anchorOf(xOf({ time, value: 0 }))}">${new Date(time).toISOString().slice(0, 10)}</text>`,
  )}</g></svg>`
}

const NOWHERE: Point = { time: 0, value: 0 }

function ticksOf(begin: number, end: number): number[] {
  return begin === end ? [begin] : [begin, end]
}

/** Keeps of many points the largest of each stretch of time, and the last: a peak is what is looked for. */
function fewer(points: readonly Point[]): readonly Point[] {
  const size = Math.ceil(points.length / MAX_POINTS)
  if (size <= 1) return points
  const kept: Point[] = []
  for (let at = 0; at < points.length - 1; at += size) {
    const [first, ...others] = points.slice(at, Math.min(at + size, points.length - 1))
    if (first !== undefined) kept.push(others.reduce((a, b) => (b.value > a.value ? b : a), first))
  }
  return [...kept, ...points.slice(-1)]
}

/** The next number above that people like: 1, 2 or 5 with zeros. */
function niceTop(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 1.5, 2, 3, 5, 7.5].find((step) => step * power >= value) ?? 10) * power
}

function round(value: number): number {
  return Number(value.toFixed(1))
}

/** A count in few letters: `12.3 M`. */
function short(count: number): string {
  const units = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ] as const
  const unit = units.find(([size]) => count >= size)
  if (unit === undefined) return formatCount(Math.round(count))
  const [size, letter] = unit
  return `${(count / (letter === 'k' ? 1000 : size)).toFixed(1)} ${letter}`
}
