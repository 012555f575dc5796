import type { Report, ReportDatabase, ReportSet } from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatDuration, formatNumberOf } from '../format.ts'
import { kindOf, stateOf } from '../set-state.ts'
import { type Html, html } from './html.ts'
import { type Bar, keyItem, laneSvg } from './lanes.ts'
import { tableHtml } from './tables.ts'
import { minuteText, nameTag, timeTag } from './words.ts'

const MAX_LANES = 60
/** Sets are put together where there are more. */
const MAX_COLUMNS = 120
const MAX_ROWS = 300

/** Which set holds which database, as a picture, and all sets as a table. */
export function setsSection({ sets, databases, retention }: Report): Html {
  const shown = databases.toSorted((a, b) => b.bytes - a.bytes).slice(0, MAX_LANES)
  const columns = columnsOf(sets)
  const names = new Set(shown.map(({ name }) => name))
  const drawn = databases.filter(({ name }) => names.has(name))
  const left = databases.length - shown.length
  const each = columns.length < sets.length ? 'Each column is several sets.' : ''
  return html`<section aria-labelledby="sets"><h2 id="sets">Sets</h2>
<p class="lead">Which set holds which database, the oldest set on the left. ${each}</p>
<ul class="legend">${keyItem('s-set', 'holds it')}${keyItem('s-lost', 'holds it, and is damaged')}</ul>
<div class="lanes">${drawn.map((database, index) => laneOf(database, { columns, index, isLast: index === drawn.length - 1 }))}</div>
${left > 0 && html`<p class="quiet">${formatCount(left)} smaller databases are not drawn.</p>`}
${setsTable(sets, retention !== undefined)}</section>`
}

/** Sets that stand in one column, the oldest first. */
type SetColumn = readonly ReportSet[]

function columnsOf(sets: readonly ReportSet[]): SetColumn[] {
  const oldestFirst = sets.toReversed()
  const size = Math.ceil(sets.length / MAX_COLUMNS)
  const columns: SetColumn[] = []
  for (let at = 0; at < sets.length; at += size) columns.push(oldestFirst.slice(at, at + size))
  return columns
}

interface LanePlace {
  readonly columns: readonly SetColumn[]
  readonly index: number
  /** The times stand below the last one. */
  readonly isLast: boolean
}

function laneOf(
  { name, sets, newest }: ReportDatabase,
  { columns, index, isLast }: LanePlace,
): Html {
  const title = `${name} in the sets`
  const description = `${formatNumberOf(sets, 'set')}, newest ${newest || 'unknown'}`
  const first = columns[0]?.[0]
  const last = columns.at(-1)?.at(-1)
  const ticks = [first, last === first ? undefined : last].flatMap((set, at) =>
    set === undefined || !isLast ? [] : [{ at, text: minuteText(new Date(set.time)) }],
  )
  const picture = laneSvg({
    id: `d${index}`,
    title,
    description,
    bars: barsOf(name, columns),
    ticks,
  })
  return html`<div class="row"><p class="label"><b>${nameTag(name)}</b><small>${description}</small></p>${picture}</div>
`
}

/** A bar for each column, or for each run of columns where there are many. */
function barsOf(database: string, columns: readonly SetColumn[]): Bar[] {
  const bars: Bar[] = []
  const isFew = columns.length <= MAX_COLUMNS / 2
  for (const [at, column] of columns.entries()) {
    const held = column.filter(({ databases }) => databases.includes(database))
    if (held.length === 0) continue
    const look = held.every(({ problem }) => problem === undefined) ? 's-set' : 's-lost'
    const before = bars.at(-1)
    const from = at / columns.length
    const to = (at + 1) / columns.length
    if (!isFew && before !== undefined && before.to === from && before.look === look) {
      bars[bars.length - 1] = { ...before, to }
    } else {
      bars.push({ from, to, look, ...(isFew && { title: titleOf(held) }) })
    }
  }
  return bars
}

function titleOf(sets: SetColumn): string {
  const [first] = sets
  const last = sets.at(-1)
  if (first === undefined || last === undefined) return ''
  if (first === last) return `${first.set}: ${stateOf(first)}`
  return `${formatNumberOf(sets.length, 'set')}: ${first.set} to ${last.set}`
}

function setsTable(sets: readonly ReportSet[], isAsked: boolean): Html {
  const unknown = (value: string | undefined) => value ?? html`<span class="quiet">unknown</span>`
  return tableHtml<ReportSet>(
    {
      id: 'set-table',
      caption: 'The sets, the newest first',
      columns: [
        { title: 'Set', cell: ({ set }) => html`<bdi class="code">${set}</bdi>` },
        { title: 'Begun', cell: ({ time }) => timeTag(new Date(time)) },
        { title: 'Kind', cell: kindOf },
        { title: 'State', cell: stateOf },
        ...(isAsked ? [{ title: 'By the rules', cell: fateText }] : []),
        { title: 'Shards', cell: ({ shards }) => formatCount(shards), align: 'right' as const },
        { title: 'Size', cell: ({ bytes }) => formatBytes(bytes), align: 'right' as const },
        { title: 'Stored', cell: ({ stored }) => formatBytes(stored), align: 'right' as const },
        {
          title: 'Points',
          cell: ({ points }) => unknown(points === undefined ? undefined : formatCount(points)),
          align: 'right' as const,
        },
        {
          title: 'Series, at least',
          cell: ({ series }) => unknown(series === undefined ? undefined : formatCount(series)),
          align: 'right' as const,
        },
        {
          title: 'Took',
          cell: ({ durationMs }) =>
            unknown(durationMs === undefined ? undefined : formatDuration(durationMs)),
          align: 'right' as const,
        },
        {
          title: 'Shares with',
          cell: ({ sharesWith }) => (sharesWith === 0 ? 'none' : formatNumberOf(sharesWith, 'set')),
        },
      ],
    },
    sets,
    MAX_ROWS,
  )
}

function fateText({ fate, reasons = [] }: ReportSet): string {
  if (fate === undefined) return 'not decided'
  const why = [...new Set(reasons.map(({ rule }) => rule))].join(', ')
  return fate === 'remove' ? 'goes' : `stays: ${why}`
}
