import type {
  CoverSpan,
  CoverState,
  Report,
  ReportDatabase,
  ReportPolicy,
} from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatNumberOf } from '../format.ts'
import { type Html, html } from './html.ts'
import { type Bar, keyItem, type Lane, laneSvg } from './lanes.ts'
import { type TableSpec, tableHtml } from './tables.ts'
import { agoText, dayText, nameTag, rangeText, spanText } from './words.ts'

/** From the best to the worst, with the words for them. */
const STATES: Readonly<Record<CoverState, string>> = {
  proven: 'held and checked',
  held: 'held, not checked yet',
  older: 'only in older sets',
  lost: 'lost: in no set',
}
const ORDER = ['proven', 'held', 'older', 'lost'] as const

/** So many policies are drawn, with so many bars in all: the page stays small enough for a phone. */
const MAX_LANES = 60
const MAX_BARS = 2400
const MAX_ROWS = 400

/** A policy and its database. */
interface Row {
  readonly database: string
  readonly policy: ReportPolicy
}

/** The map of what is held of every policy, by time, with the same in a table. */
export function coverageSection({ databases, generated }: Report): Html {
  const rows = databases.flatMap(rowsOf)
  const drawn = largest(rows)
  const perLane = Math.max(20, Math.floor(MAX_BARS / Math.max(1, drawn.length)))
  const left = rows.length - drawn.length
  return html`<section aria-labelledby="coverage"><h2 id="coverage">What is held</h2>
<p class="lead">Each row is a retention policy, from its first shard to its last; what is left blank is in no shard. Point at a bar to see which sets hold it.</p>
${legend()}
<div class="lanes">${drawn.map((row, index) => laneOf(row, { id: `c${index}`, perLane, now: generated }))}</div>
${left > 0 && html`<p class="quiet">${formatCount(left)} smaller policies are in the table alone.</p>`}
${coverageTable(rows, generated)}</section>`
}

function rowsOf({ name: database, policies }: ReportDatabase): Row[] {
  return policies.map((policy) => ({ database, policy }))
}

/** Those that hold most, in the order of their names. */
function largest(rows: readonly Row[]): Row[] {
  const chosen = new Set(
    rows.toSorted((a, b) => b.policy.bytes - a.policy.bytes).slice(0, MAX_LANES),
  )
  return rows.filter((row) => chosen.has(row))
}

function legend(): Html {
  return html`<ul class="legend">${ORDER.map((state) => keyItem(`s-${state}`, STATES[state]))}<li><svg width="22" height="14" aria-hidden="true"><line class="m-now" x1="11" x2="11" y1="0" y2="14"/></svg>now</li><li><svg width="22" height="14" aria-hidden="true"><line class="m-drop" x1="11" x2="11" y1="0" y2="14"/></svg>older is dropped by the server</li></ul>`
}

interface LaneContext {
  readonly id: string
  readonly perLane: number
  readonly now: Date
}

interface LaneTimes extends LaneContext {
  readonly start: Date
  readonly end: Date
}

function laneOf({ database, policy }: Row, { id, perLane, now }: LaneContext): Html {
  const { name, start, end, shards, bytes } = policy
  const facts = [formatNumberOf(shards, 'shard'), formatBytes(bytes), keepsText(policy)].filter(
    (text) => text !== '',
  )
  const picture =
    start && end
      ? laneSvg(laneData({ database, policy }, { id, start, end, perLane, now }))
      : html`<p class="quiet">The sets do not say which times its shards are for.</p>`
  return html`<div class="row"><p class="label"><b>${nameTag(database)}</b><span>.${nameTag(name)}</span><small>${facts.join(' · ')}</small></p>${picture}</div>
`
}

function laneData({ database, policy }: Row, { id, start, end, perLane, now }: LaneTimes): Lane {
  const from = start.getTime()
  const width = Math.max(1, end.getTime() - from)
  const placeOf = (time: Date) => (time.getTime() - from) / width
  const bars = fewer(policy.spans, perLane).map(
    (span): Bar => ({
      ...{ from: placeOf(span.start), to: placeOf(span.end), look: `s-${span.state}` },
      title: spanTitle(span),
    }),
  )
  const marks = [
    { at: placeOf(now), look: 'm-now' },
    ...(policy.durationMs
      ? [{ at: placeOf(new Date(now.getTime() - policy.durationMs)), look: 'm-drop' }]
      : []),
  ].filter(({ at }) => at > 0 && at < 1)
  const ticks = [
    { at: 0, text: dayText(start) },
    { at: 1, text: dayText(end) },
  ]
  const title = `${database}.${policy.name}, ${rangeText({ start, end })}`
  return { id, title, description: `${stateText(policy)}; ${holeText(policy)}`, bars, marks, ticks }
}

/** Puts neighbours together until there are no more than so many; each group is as bad as its worst. */
function fewer(spans: readonly CoverSpan[], most: number): readonly CoverSpan[] {
  const size = Math.ceil(spans.length / most)
  if (size <= 1) return spans
  const groups: CoverSpan[] = []
  for (let at = 0; at < spans.length; at += size) {
    const [first, ...others] = spans.slice(at, at + size)
    if (first !== undefined) groups.push(others.reduce(joined, first))
  }
  return groups
}

function joined(a: CoverSpan, b: CoverSpan): CoverSpan {
  const worse = ORDER.indexOf(b.state) > ORDER.indexOf(a.state) ? b.state : a.state
  return {
    ...{ start: a.start, end: b.end > a.end ? b.end : a.end, state: worse },
    ...{ shards: a.shards + b.shards, sets: Math.max(a.sets, b.sets) },
    ...(b.newest !== undefined && { newest: b.newest }),
  }
}

function spanTitle({ start, end, shards, state, sets, newest }: CoverSpan): string {
  const where = newest === undefined ? '' : `, in ${formatNumberOf(sets, 'set')}, newest ${newest}`
  return `${rangeText({ start, end })}: ${formatNumberOf(shards, 'shard')}, ${STATES[state]}${where}`
}

/** How the shards of a policy are held, in numbers. */
export function stateText({ states }: ReportPolicy): string {
  const parts = ORDER.filter((state) => states[state] > 0).map(
    (state) => `${formatCount(states[state])} ${STATES[state]}`,
  )
  return parts.join(', ')
}

function holeText({ holes, holeCount }: ReportPolicy): string {
  if (holeCount === 0) return 'no hole'
  const some = holes.map(rangeText).join(', ')
  return `${formatNumberOf(holeCount, 'hole')}: ${some}${holeCount > holes.length ? ', ...' : ''}`
}

/** How long the server keeps points of a policy, as far as that is known. */
export function keepsText({ durationMs }: ReportPolicy): string {
  if (durationMs === undefined) return ''
  return durationMs === null ? 'kept for ever' : `kept ${spanText(durationMs)}`
}

function coverageTable(rows: readonly Row[], now: Date): Html {
  const spec: TableSpec<Row> = {
    id: 'policies',
    summary: 'All policies as a table',
    caption: 'What is held of every retention policy, and what the server drops next',
    columns: [
      {
        title: 'Policy',
        cell: ({ database, policy }) => html`${nameTag(database)}.${nameTag(policy.name)}`,
      },
      { title: 'Shards', cell: ({ policy }) => formatCount(policy.shards), align: 'right' },
      { title: 'Size', cell: ({ policy }) => formatBytes(policy.bytes), align: 'right' },
      { title: 'From', cell: ({ policy: { start } }) => (start ? dayText(start) : 'unknown') },
      { title: 'To', cell: ({ policy: { end } }) => (end ? dayText(end) : 'unknown') },
      { title: 'How it is held', cell: ({ policy }) => stateText(policy) },
      { title: 'Holes', cell: ({ policy }) => holeText(policy) },
      { title: 'Server keeps', cell: ({ policy }) => keepsText(policy) || 'unknown' },
      { title: 'Drops next', cell: ({ policy }) => dropText(policy, now) },
    ],
  }
  return tableHtml(spec, rows, MAX_ROWS)
}

function dropText({ drops, dropped, durationMs }: ReportPolicy, now: Date): string {
  const gone = dropped ? `; ${formatNumberOf(dropped, 'shard')} dropped by now` : ''
  if (drops === undefined) return durationMs === null ? 'nothing' : `unknown${gone}`
  return `${rangeText(drops)}, ${agoText(drops.at, now)}${gone}`
}
