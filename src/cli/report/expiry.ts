import type { Report, ReportPolicy, RetentionOutlook } from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatNumberOf } from '../format.ts'
import { keepsText, stateText } from './coverage.ts'
import { type Html, html } from './html.ts'
import { tableHtml } from './tables.ts'
import { agoText, nameTag, rangeText } from './words.ts'

const MAX_ROWS = 10
const MAX_NAMES = 20

interface Row {
  readonly database: string
  readonly policy: ReportPolicy
  readonly drops: NonNullable<ReportPolicy['drops']>
}

/** Says what goes next: of the server by its policies, of the target by rules, if there are any. */
export function expirySection({ databases, generated, retention }: Report): Html {
  const policies = databases.flatMap(({ name: database, policies }) =>
    policies.map((policy) => ({ database, policy })),
  )
  const rows = policies
    .flatMap(({ database, policy }): Row[] =>
      policy.drops ? [{ database, policy, drops: policy.drops }] : [],
    )
    .sort((a, b) => a.drops.at.getTime() - b.drops.at.getTime())
  const isUnknown = policies.every(({ policy }) => policy.durationMs === undefined)
  const server = rows.length > 0 ? dropTable(rows, generated) : html`<p>${noDrop(isUnknown)}</p>`
  return html`<section aria-labelledby="expiry"><h2 id="expiry">What goes next</h2>
<p class="lead">On the server, when a shard is older than its policy keeps points; what the sets hold of it stays.</p>
${server}
${retention && html`<div class="card goes">${pruneBody(retention)}</div>`}</section>`
}

function noDrop(isUnknown: boolean): string {
  return isUnknown
    ? 'How long policies keep points is unknown: no metastore can be read without a key.'
    : 'No policy drops any of these shards: what is kept is kept for ever.'
}

function dropTable(rows: readonly Row[], now: Date): Html {
  return tableHtml<Row>(
    {
      id: 'drops',
      caption: 'The shards that the server drops next',
      columns: [
        {
          title: 'Policy',
          cell: ({ database, policy }) => html`${nameTag(database)}.${nameTag(policy.name)}`,
        },
        { title: 'Server', cell: ({ policy }) => keepsText(policy) },
        { title: 'Next shard', cell: ({ drops }) => rangeText(drops) },
        { title: 'Dropped', cell: ({ drops }) => agoText(drops.at, now) },
        { title: 'Its shards', cell: ({ policy }) => stateText(policy) },
      ],
    },
    rows,
    MAX_ROWS,
  )
}

function pruneBody({ kept, removed, freed, refused }: RetentionOutlook): Html {
  if (refused !== undefined) {
    return html`<p>In the target: snap prune would refuse to delete anything. ${refused}</p>`
  }
  const stay = `by the rules that were given ${formatNumberOf(kept, 'set')} stay`
  if (removed.length === 0) return html`<p>In the target: nothing, ${stay}.</p>`
  const more = removed.length - MAX_NAMES
  return html`<p>In the target: ${stay}, and the next snap prune would remove ${formatNumberOf(removed.length, 'set')} and free ${formatBytes(freed)}.</p>
<ul class="names">${removed.slice(0, MAX_NAMES).map((name) => html`<li class="code">${nameTag(name)}</li>`)}${more > 0 && html`<li>and ${formatCount(more)} more</li>`}</ul>`
}
