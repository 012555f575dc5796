import { SnapError } from '../errors.ts'
import type { DiffResult } from '../operations/diff.ts'
import type { MeasurementDifference } from '../operations/diff-tally.ts'
import { formatCount, formatNumberOf, printable } from './format.ts'
import type { CommandResult } from './output.ts'
import { tableLines } from './table.ts'

/** Measurements shown to people; the document has all. */
const SHOWN = 40

const COLUMNS = [
  { title: 'measurement', wraps: true },
  { title: 'added', align: 'right' },
  { title: 'removed', align: 'right' },
  { title: 'changed', align: 'right' },
  { title: 'equal', align: 'right' },
  { title: 'series', align: 'right' },
] as const

/**
 * Renders how two sides compare.
 * @param width columns of a terminal
 */
export function diffReport(result: DiffResult, width?: number): CommandResult {
  const { left, right, measurements, compared, known, lost } = result
  const different = measurements.filter(isDifferent)
  const totals = totalsOf(measurements)
  const document = {
    ...{ left, right, different: different.length > 0, ...totals, measurements },
    ...{ shardsCompared: compared, shardsKnown: known, lost },
  }
  const verdict =
    different.length === 0
      ? `no difference in ${formatNumberOf(totals.equal, 'point')}`
      : `${formatNumberOf(totals.added, 'point')} added, ${formatCount(totals.removed)} removed, ${formatCount(totals.changed)} changed, ${formatCount(totals.equal)} equal`
  const lines = [
    `from ${left}`,
    `  to ${right}`,
    verdict,
    ...differenceLines(different, width),
    ...lost.map((line) => `not compared: ${line}`),
  ]
  return {
    document,
    summary: lines.map(printable).join('\n'),
    problem: problemOf(result, verdict),
  }
}

/** Tells whether the points of a measurement are not the same on both sides. */
function isDifferent({ added, removed, changed }: MeasurementDifference): boolean {
  return added + removed + changed > 0
}

function totalsOf(measurements: readonly MeasurementDifference[]) {
  const sum = (name: 'added' | 'removed' | 'changed' | 'equal') =>
    measurements.reduce((total, counts) => total + counts[name], 0)
  return {
    added: sum('added'),
    removed: sum('removed'),
    changed: sum('changed'),
    equal: sum('equal'),
  }
}

function differenceLines(
  different: readonly MeasurementDifference[],
  width: number | undefined,
): string[] {
  if (different.length === 0) return []
  const rows = different.slice(0, SHOWN).map((row) => {
    const { database, retentionPolicy, measurement, added, removed, changed, equal } = row
    const counts = [added, removed, changed, equal].map(formatCount)
    return [`${database}.${retentionPolicy} ${measurement}`, ...counts, seriesOf(row)]
  })
  const more = different.length - SHOWN
  const rest = more > 0 ? [`and ${formatNumberOf(more, 'measurement')} more (--json has all)`] : []
  return [...tableLines(COLUMNS, rows, width), ...rest]
}

function seriesOf({ seriesAdded, seriesRemoved }: MeasurementDifference): string {
  if (seriesAdded === null || seriesRemoved === null) return 'too many'
  const parts = [
    ...(seriesAdded > 0 ? [`+${formatCount(seriesAdded)}`] : []),
    ...(seriesRemoved > 0 ? [`-${formatCount(seriesRemoved)}`] : []),
  ]
  return parts.join(' ')
}

function problemOf({ measurements, lost }: DiffResult, verdict: string): SnapError | undefined {
  if (measurements.some(isDifferent)) return new SnapError('E_DIFFERENT', verdict)
  if (lost.length === 0) return undefined
  return new SnapError('E_INCOMPLETE', 'not everything could be compared', {
    hint: 'the result names what a side has lost or was made without',
  })
}
