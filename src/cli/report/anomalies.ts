import type { Anomaly, AnomalyItem, AnomalyKind, Severity } from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatNumberOf } from '../format.ts'
import { type Html, html } from './html.ts'
import { minuteText, spanText } from './words.ts'

/** What is said of a kind of anomaly: what it is, what to do, and each thing it was found in. */
interface Wording {
  readonly title: (count: number) => string
  readonly advice: string
  readonly item: (item: AnomalyItem) => string
}

const setOf = ({ set = '' }: AnomalyItem) => set
const policyOf = ({ database = '', retentionPolicy = '' }: AnomalyItem) =>
  `${database}.${retentionPolicy}`
const lastIn = ({ database, set, time }: AnomalyItem) =>
  `${database}: last in set ${set}${time ? `, ${minuteText(time)}` : ''}`

const WORDINGS: Readonly<Record<AnomalyKind, Wording>> = {
  damaged: {
    title: (count) => `${formatNumberOf(count, 'set')} cannot be read or ${lack(count)} a file`,
    advice:
      'Get the files back from a copy. snap verify names all damage, snap restore --salvage takes what is whole.',
    item: ({ set, message }) => `${set}: ${message}`,
  },
  headless: {
    title: (count) => `${formatNumberOf(count, 'set')} without a manifest`,
    advice:
      'Files are there, but they are no backup any more: bring the manifest back from a copy.',
    item: setOf,
  },
  'check-failed': {
    title: (count) => `${formatNumberOf(count, 'check')} found something wrong`,
    advice: 'Run snap verify on the set, and back up again.',
    item: ({ set, message, time }) => `${set}: ${message}, ${time ? minuteText(time) : ''}`,
  },
  'lost-shards': {
    title: () => 'Shards that should be in a backup are not',
    advice:
      'snap info --set says why a set lacks them. Back up again while the server still has them.',
    item: (item) =>
      item.set === undefined
        ? `${policyOf(item)}: ${formatNumberOf(item.count ?? 0, 'shard')} in no set`
        : `set ${item.set} lacks ${formatNumberOf(item.count ?? 0, 'shard')}`,
  },
  overdue: {
    title: () => 'No new set, although one was due',
    advice: 'Look at the scheduler and at the output of the last run.',
    item: ({ set, time, usualMs = 0 }) =>
      `the newest is ${set}, ${time ? minuteText(time) : ''}; usually there is one every ${spanText(usualMs)}`,
  },
  'database-missing': {
    title: (count) => `${formatNumberOf(count, 'database')} no longer in the newest set`,
    advice:
      'Dropped, or renamed? Only older sets hold it now, and prune lets these go in time: snap pin keeps one.',
    item: lastIn,
  },
  'database-overdue': {
    title: (count) => `${formatNumberOf(count, 'database')} with no new set, although one was due`,
    advice: 'The run that backs it up has stopped, or now leaves it out.',
    item: (item) => `${lastIn(item)}; usually every ${spanText(item.usualMs ?? 0)}`,
  },
  shrunk: {
    title: (count) => `${formatNumberOf(count, 'shard')} shrank from one set to a later one`,
    advice: 'Points were deleted, or lost. snap diff shows which ones.',
    item: (item) => `${policyOf(item)} shard ${item.shardId}: ${shrinkText(item)}`,
  },
  'not-verified': {
    title: () => 'No set was verified as a whole of late',
    advice: 'Run snap verify: only what was read again is known to be readable.',
    item: checkedText,
  },
  'never-held': {
    title: (count) => `${formatNumberOf(count, 'database')} of the server in no set`,
    advice: 'Left out on purpose? snap backup takes every database unless it is told otherwise.',
    item: ({ database = '' }) => database,
  },
  'not-drilled': {
    title: () => 'No restore was practised of late',
    advice:
      'snap drill restores a set into a scratch place, compares every point, and says how long that takes.',
    item: checkedText,
  },
  unconfirmed: {
    title: () => 'The newest set is not confirmed to be complete',
    advice:
      'influxd does not say whether it sent all: the HTTP API (--http) or --twice can confirm it.',
    item: setOf,
  },
  'long-chain': {
    title: () => 'The newest set shares archives with many older ones',
    advice:
      'Damage in one of them is damage in all that share it. snap backup --full-every begins anew now and then.',
    item: ({ set, count = 0 }) => `${set} needs archives of ${formatCount(count)} older sets`,
  },
  'stock-chain': {
    title: () => 'Sets of influxd hold archives of the same shards',
    advice:
      'Nothing in them says whether the newest is whole. snap restore puts together what it lacks, influxd restore does not: keep the older ones.',
    item: ({ set, count = 0 }) => `${set}: ${formatNumberOf(count, 'archive')} of one shard`,
  },
  unfinished: {
    title: (count) => `${formatNumberOf(count, 'set')} not finished`,
    advice: 'A run is at work, or one was cut short; the next backup tidies up.',
    item: setOf,
  },
}

function lack(count: number): string {
  return count === 1 ? 'lacks' : 'lack'
}

function checkedText({ set, time }: AnomalyItem): string {
  return set === undefined || time === undefined ? 'never' : `last: ${set}, ${minuteText(time)}`
}

function shrinkText({ before, after }: AnomalyItem): string {
  if (before === undefined || after === undefined) return ''
  const { points: from } = before
  const { points: to } = after
  const [was, is] =
    from === undefined || to === undefined
      ? [formatBytes(before.bytes), formatBytes(after.bytes)]
      : [`${formatCount(from)} points`, formatCount(to)]
  return `${was} in ${before.set}, ${is} in ${after.set}`
}

/** The sign of a severity, which colour alone must not be. */
export const SIGNS: Readonly<Record<Severity, string>> = { critical: '✕', warning: '!', note: 'i' }

const SEVERITY_WORDS: Readonly<Record<Severity, string>> = {
  critical: 'Act now',
  warning: 'Have a look',
  note: 'Good to know',
}

/** Says what an operator should look at, the worst first. */
export function anomalySection(anomalies: readonly Anomaly[]): Html {
  const body =
    anomalies.length === 0
      ? html`<p class="quiet">Nothing stands out.</p>`
      : html`<ul class="anomalies">${anomalies.map(anomalyItem)}</ul>`
  return html`<section aria-labelledby="attention"><h2 id="attention">To look at</h2>${body}</section>`
}

function anomalyItem({ kind, severity, items, count }: Anomaly): Html {
  const { title, advice, item } = WORDINGS[kind]
  const more = count - items.length
  return html`<li class="card anomaly ${severity}"><span class="sign" aria-hidden="true">${SIGNS[severity]}</span><div>
<p class="severity">${SEVERITY_WORDS[severity]}</p>
<h3>${title(count)}</h3>
<ul class="things">${items.map((one) => html`<li><bdi>${item(one)}</bdi></li>`)}${more > 0 && html`<li>and ${formatCount(more)} more</li>`}</ul>
<p class="advice">${advice}</p></div></li>
`
}
