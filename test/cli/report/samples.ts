import { reportPage } from '../../../src/cli/report/page.ts'
import { type ReportOptions, report } from '../../../src/operations/report.ts'
import type { Report } from '../../../src/operations/report-data.ts'
import { LocalStore } from '../../../src/storage/index.ts'
import { variedTarget, writeReportTarget } from '../../helpers/report-target.ts'
import { tempDir } from '../../helpers/temp.ts'

const DAY = 86_400_000

/** The morning after the last set of {@link variedTarget}. */
export const MORNING = new Date('2026-11-21T08:00:00Z')

/** Makes a target with a bit of everything, and returns where it is with the names of its sets, the oldest first. */
export async function variedSets() {
  const dir = await tempDir('report')
  return { dir, sets: await writeReportTarget(dir, variedTarget()) }
}

/** Reports on a directory. */
export async function reportOn(dir: string, options: Partial<ReportOptions> = {}): Promise<Report> {
  return await report({
    ...{ store: new LocalStore(dir), now: MORNING, checkedWithin: 30 * DAY },
    signal: new AbortController().signal,
    ...options,
  })
}

/** The page of a report. */
export function pageOf(found: Report, title = 'Nightly backups'): string {
  return reportPage(found, { title, generator: 'influx-snap 1.2.3' })
}
