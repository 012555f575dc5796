import { createHash } from 'node:crypto'
import type { Report } from '../../operations/report-data.ts'
import { anomalySection } from './anomalies.ts'
import { growthSection } from './charts.ts'
import { coverageSection } from './coverage.ts'
import { expirySection } from './expiry.ts'
import { type Html, html } from './html.ts'
import { overviewSection } from './overview.ts'
import { setsSection } from './sets.ts'
import { STYLE } from './style.ts'
import { nameTag, timeTag } from './words.ts'

/** What a page says besides the report. */
export interface PageOptions {
  readonly title: string
  /** The program that made it, with its version. */
  readonly generator: string
}

/** Nothing is loaded, nothing runs, nothing is sent: the one style sheet is known by its hash. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Without one a browser asks the server of the page for an icon. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%230b6e75'/%3E%3Cpath d='M4 8.5l3 3 5-7' fill='none' stroke='white' stroke-width='2'/%3E%3C/svg%3E"

/** Patterns, so that no state is told by its colour alone. */
const PATTERNS = html`<svg class="patterns" aria-hidden="true"><defs>
<pattern id="p-held" width="6" height="6" patternUnits="userSpaceOnUse"><rect class="p-held" width="6" height="6"/><path class="p-ink" d="M0 1h6"/></pattern>
<pattern id="p-older" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="p-older" width="8" height="8"/><path class="p-ink" d="M2 0v8"/></pattern>
<pattern id="p-lost" width="7" height="7" patternUnits="userSpaceOnUse"><rect class="p-lost" width="7" height="7"/><path class="p-ink" d="M0 0l7 7M7 0l-7 7"/></pattern>
</defs></svg>`

/** Writes a report as one HTML document that needs nothing else. The same report gives the same bytes. */
export function reportPage(report: Report, { title, generator }: PageOptions): string {
  const { source, generated, clusterId } = report
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta name="generator" content="${generator}">
<title>${title}</title>
<link rel="icon" href="${ICON}">
<style>${raw(STYLE)}</style>
</head>
<body>
${PATTERNS}
<header><h1>${title}</h1><p>${nameTag(source)}, as of ${timeTag(generated)} UTC${clusterId !== undefined && html`, cluster <span class="code">${String(clusterId)}</span>`}</p></header>
<nav aria-label="Contents"><ul><li><a href="#attention">To look at</a></li><li><a href="#coverage">What is held</a></li><li><a href="#expiry">What goes next</a></li><li><a href="#growth">Growth</a></li><li><a href="#sets">Sets</a></li></ul></nav>
<main>
${overviewSection(report)}
${anomalySection(report.anomalies)}
${coverageSection(report)}
${expirySection(report)}
${growthSection(report)}
${setsSection(report)}
</main>
<footer><p>All times are in UTC. Made by ${generator} from the catalogs of the sets; no archive was read. This page loads nothing and sends nothing.</p></footer>
</body>
</html>
`
  return page.markup
}

/** Markup of ours, as it is. */
function raw(markup: string): Html {
  return { markup }
}
