import type { Report, ReportSet } from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatDuration } from '../format.ts'
import { type Html, html } from './html.ts'
import { anchorOf } from './lanes.ts'
import { DAY, dayText, minuteText, percent, spanText } from './words.ts'

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
/** Units across a curve, which is as wide as its card. */
const ACROSS = 1000

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
  const points = sets
    .flatMap((set): Point[] => {
      const value = series.valueOf(set)
      return value === undefined ? [] : [{ time: Date.parse(set.time), value }]
    })
    .sort((a, b) => a.time - b.time)
  const [first] = points
  const last = points.at(-1)
  const body =
    first === undefined || last === undefined
      ? html`<p class="quiet">${series.unknown}</p>`
      : chartBody(series, { points, first, last, largest: largestOf(points) })
  return html`<figure class="card chart"><figcaption><h3>${series.title}</h3><p>${series.about}</p></figcaption>${body}</figure>
`
}

/** At least one point. */
interface Curve {
  readonly points: readonly Point[]
  readonly first: Point
  readonly last: Point
  readonly largest: Point
}

function chartBody(series: Series, curve: Curve): Html {
  const { last, largest } = curve
  const more = series.isEach
    ? `the newest; ${series.format(largest.value)} at most`
    : changeText(curve)
  return html`<p class="now">${series.format(last.value)} <small>${more}</small></p>${chartSvg(series, curve)}`
}

function largestOf(points: readonly Point[]): Point {
  return points.reduce((a, b) => (b.value > a.value ? b : a))
}

/** How much the last value differs from the first. */
function changeText({ first, last }: Curve): string {
  if (first === last) return 'one set'
  const over = `in ${spanText(last.time - first.time)}`
  if (first.value === 0) return over
  const times = last.value / first.value
  const percents = Math.round(Math.abs(times - 1) * 100)
  if (percents === 0) return `unchanged ${over}`
  if (times >= 10) return `${times.toFixed(0)} times as much ${over}`
  return `${times > 1 ? '+' : '−'}${percents}% ${over}`
}

function chartSvg({ id, title, format }: Series, curve: Curve): Html {
  const { first, last, largest } = curve
  const points = fewer(curve.points)
  const top = niceTop(largest.value)
  const width = last.time - first.time
  const xOf = ({ time }: Point) => (width === 0 ? 0.5 : (time - first.time) / width)
  const yOf = ({ value }: Point) => HEIGHT - (value / top) * HEIGHT
  const across = (point: Point) => round(xOf(point) * ACROSS)
  const line = points.map((point) => `${across(point)},${round(yOf(point))}`).join(' ')
  const area = `${across(first)},${HEIGHT} ${line} ${across(last)},${HEIGHT}`
  const dots = points.length <= MAX_DOTS ? points : []
  const at = ({ time }: Point) => dayText(new Date(time))
  const description = `${curve.points.length} sets from ${at(first)} to ${at(last)}; the largest is ${format(largest.value)} at ${at(largest)}, the last ${format(last.value)}`
  const grid = [1, 0.5].map((share) => ({ y: HEIGHT * (1 - share), text: format(top * share) }))
  return html`<svg class="plot" role="img" aria-labelledby="g-${id}-t g-${id}-d" width="100%" height="${HEIGHT + TICKS + 12}"><title id="g-${id}-t">${title}</title><desc id="g-${id}-d">${description}</desc><g transform="translate(0 12)">${grid.map(
    ({ y }) => html`<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}"/>`,
  )}<line class="axis" x1="0" x2="100%" y1="${HEIGHT}" y2="${HEIGHT}"/><svg viewBox="0 0 ${ACROSS} ${HEIGHT}" preserveAspectRatio="none" width="100%" height="${HEIGHT}"><polygon class="area" points="${area}"/><polyline class="line" points="${line}"/></svg>${grid.map(({ y, text }) => html`<text x="0" y="${y - 3}">${text}</text>`)}${dots.map(
    (point) =>
      html`<circle class="dot" cx="${percent(xOf(point))}" cy="${round(yOf(point))}" r="3"><title>${at(point)}: ${format(point.value)}</title></circle>`,
  )}${(width === 0 ? [first] : [first, last]).map((point) => tickText(point, xOf(point), width))}</g></svg>`
}

/** Says the day, and where days do not tell the ends of `width` ms apart the minute. */
function tickText({ time }: Point, at: number, width: number): Html {
  const minute = minuteText(new Date(time))
  const text = width < DAY ? minute : minute.slice(0, 10)
  return html`<text x="${percent(at)}" y="${HEIGHT + 15}" text-anchor="${anchorOf(at)}">${text}</text>`
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
