import type { Report, Severity } from '../../operations/report-data.ts'
import { formatBytes, formatCount, formatDuration, formatNumberOf } from '../format.ts'
import { SIGNS } from './anomalies.ts'
import { type Html, type HtmlValue, html } from './html.ts'
import { agoText, spanText, timeTag } from './words.ts'

/** A number that an operator looks at first. */
interface Tile {
  readonly name: string
  readonly value: HtmlValue
  readonly more?: HtmlValue
}

/** Says in a sentence how it stands, and in a few numbers why. */
export function overviewSection(report: Report): Html {
  const worst = report.anomalies[0]?.severity
  const { look, sign, text } = verdict(worst)
  return html`<section aria-labelledby="state"><div class="verdict ${look}"><span class="sign" aria-hidden="true">${sign}</span><div><h2 id="state">${text}</h2><p>${countText(report)}</p></div></div>
<dl class="tiles">${tilesOf(report).map(
    ({ name, value, more }) =>
      html`<div class="card tile"><dt>${name}</dt><dd><strong>${value}</strong>${more !== undefined && html`<span>${more}</span>`}</dd></div>`,
  )}</dl></section>`
}

function verdict(worst: Severity | undefined): { look: string; sign: string; text: string } {
  if (worst === 'critical') {
    return { look: 'critical', sign: SIGNS.critical, text: 'Backups need attention now' }
  }
  if (worst === 'warning') {
    return { look: 'warning', sign: SIGNS.warning, text: 'Backups need a look' }
  }
  return { look: 'fine', sign: '✓', text: 'Backups are in order' }
}

function countText({ anomalies }: Report): string {
  const counts = (['critical', 'warning', 'note'] as const).flatMap((severity) => {
    const count = anomalies.filter((anomaly) => anomaly.severity === severity).length
    if (count === 0) return []
    return [severity === 'critical' ? `${count} critical` : formatNumberOf(count, severity)]
  })
  return counts.length === 0 ? 'Nothing stands out.' : `${counts.join(', ')} below.`
}

function tilesOf(report: Report): Tile[] {
  const { sets, databases, checks, generated } = report
  const [newest] = sets
  const policies = databases.reduce((sum, one) => sum + one.policies.length, 0)
  const bytes = databases.reduce((sum, one) => sum + one.bytes, 0)
  const points = databases.reduce((sum, one) => sum + (one.points ?? Number.NaN), 0)
  const stored = sets.reduce((sum, set) => sum + set.stored, 0)
  const { verified, drilled } = checks
  return [
    {
      name: 'Newest set',
      value: newest ? agoText(new Date(newest.time), generated) : 'none',
      more: rhythmText(report),
    },
    {
      name: 'Last full verify',
      value: verified ? agoText(verified.time, generated) : 'never',
      more: verified && html`set <span class="code">${verified.set}</span>`,
    },
    {
      name: 'Last drill',
      value: drilled ? agoText(drilled.time, generated) : 'never',
      more: drilled && `back in ${formatDuration(drilled.recoveryMs)}`,
    },
    {
      name: 'Sets',
      value: formatCount(sets.length),
      more: `${formatBytes(stored)} stored`,
    },
    {
      name: 'Databases',
      value: formatCount(databases.length),
      more: formatNumberOf(policies, 'retention policy').replace('policys', 'policies'),
    },
    {
      name: 'Held now',
      value: formatBytes(bytes),
      more: Number.isNaN(points)
        ? 'points unknown: not all sets tell'
        : `${formatCount(points)} points`,
    },
  ]
}

function rhythmText({ rhythm: { usualMs, due }, generated }: Report): Html | string {
  if (usualMs === undefined || due === undefined) return 'too few sets to know how often'
  const next =
    due > generated ? html`next ${agoText(due, generated)}` : html`was due ${timeTag(due)}`
  return html`every ${spanText(usualMs)}, ${next}`
}
