import { SnapError } from '../errors.ts'
import type { DrillResult } from '../operations/drill.ts'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumberOf,
  formatRate,
  printable,
} from './format.ts'
import type { CommandResult } from './output.ts'

/** Differences shown to people; the document has all. */
const SHOWN = 20

/** Renders what a drill found. */
export function drillReport(result: DrillResult, source: string): CommandResult {
  const { set, kind, influxd, recoveryMs, differences, countDifferences, counted } = result
  const { unchecked, lost, kept } = result
  const shards = result.shards.map((shard) => ({
    ...shard,
    bytesPerSecond: rateOf(shard.bytes, shard.durationMs),
  }))
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const points = shards.reduce((sum, shard) => sum + shard.points, 0)
  const bytesPerSecond = rateOf(bytes, recoveryMs)
  const document = {
    ...{ source, set: set ?? null, kind, influxd: influxd ?? null },
    ...{ recoveryMs, bytes, bytesPerSecond, points, shards },
    ...{ differences, countDifferences, counted, unchecked, lost },
    kept: kept ?? null,
  }
  const name = set === undefined ? source : `set ${set} in ${source}`
  const engine = influxd === undefined ? 'a data directory' : `influxd ${influxd.version}`
  const size = `${formatBytes(bytes)} (${formatRate(bytesPerSecond)})`
  const what = `${formatNumberOf(shards.length, 'shard')}, ${size}`
  const lines = [
    `${name}: recovered into ${engine} in ${formatDuration(recoveryMs)}: ${what}`,
    `  ${comparisonLine(result, points)}`,
    ...differenceLines(result).map((line) => `  ${line}`),
    ...lost.map(({ shardId, reason }) => `  shard ${shardId} was not backed up: ${reason}`),
    ...(kept ? [`  kept: ${kept.command ?? kept.path}`] : []),
  ]
  return {
    document,
    summary: lines.map(printable).join('\n'),
    problem: problemOf(result, name),
  }
}

function rateOf(bytes: number, milliseconds: number): number {
  return milliseconds > 0 ? Math.round((bytes * 1000) / milliseconds) : 0
}

function comparisonLine(
  { differences, countDifferences, counted, unchecked }: DrillResult,
  points: number,
): string {
  const isSame = differences.length + countDifferences.length === 0
  const verdict = isSame ? 'as in the backup' : 'NOT as in the backup'
  const queried =
    counted > 0 ? `, ${formatNumberOf(counted, 'measurement')} counted by the server` : ''
  const left = unchecked > 0 ? `, ${formatNumberOf(unchecked, 'field')} could not be counted` : ''
  return `${formatCount(points)} points ${verdict}${queried}${left}`
}

function differenceLines({ differences, countDifferences }: DrillResult): string[] {
  const lines = [
    ...differences.map(
      ({ shardId, database, retentionPolicy, measurement, missing, extra, different }) =>
        `shard ${shardId} (${database}.${retentionPolicy}), ${measurement}: ` +
        `${missing} points missing, ${extra} more, ${different} with another value`,
    ),
    ...countDifferences.map(
      ({ database, retentionPolicy, measurement, field, expected, got }) =>
        `${database}.${retentionPolicy}, ${measurement}: the server counts ${got} of ${field}, expected ${expected}`,
    ),
  ]
  const more = lines.length - SHOWN
  return more > 0 ? [...lines.slice(0, SHOWN), `and ${more} more`] : lines
}

function problemOf(result: DrillResult, name: string): SnapError | undefined {
  const { differences, countDifferences, lost } = result
  const count = differences.length + countDifferences.length
  if (count > 0) {
    const [first] = differenceLines(result)
    const message = `${name}: ${formatNumberOf(count, 'difference')}, the first: ${first}`
    return new SnapError('E_DIFFERENT', message)
  }
  if (lost.length === 0) return undefined
  const what = `${formatNumberOf(lost.length, 'shard')} could not be backed up`
  return new SnapError('E_INCOMPLETE', `${name} is incomplete: ${what}`, {
    hint: 'the result names each; an older set may hold it (--set)',
  })
}
