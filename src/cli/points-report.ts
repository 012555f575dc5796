import { SnapError } from '../errors.ts'
import type { ExportPointsResult, PointFormat } from '../operations/export-points.ts'
import type { ExportUrlResult } from '../operations/export-url.ts'
import type { ShardName } from '../operations/inspect.ts'
import { formatBytes, formatCount, formatNumberOf, printable } from './format.ts'
import type { CommandResult } from './output.ts'
import { formatShard } from './progress-lines.ts'

/** Renders what an export of points did. */
export function pointsReport(
  result: ExportPointsResult & Partial<Pick<ExportUrlResult, 'resumed' | 'counted' | 'fewer'>>,
  { target, format }: { readonly target: string; readonly format: PointFormat },
): CommandResult {
  const {
    files,
    bytes,
    points,
    dropped,
    absent,
    lost,
    leftOut,
    resumed = [],
    counted,
    fewer = [],
  } = result
  const into = files.length > 1 ? `${formatNumberOf(files.length, 'file')} in ${target}` : target
  const done = `exported ${formatNumberOf(points, 'point')}, ${formatBytes(bytes)}, to ${into}`
  const remarks = [
    ...dropped.map(({ shardId, reason }) => `shard ${shardId} left out: ${reason}`),
    ...(absent.length > 0
      ? [`${formatNumberOf(absent.length, 'shard')} of the metastore not at the source`]
      : []),
    ...(resumed.length > 0
      ? [`${formatNumberOf(resumed.length, 'shard')} had been sent before`]
      : []),
    ...(counted === undefined
      ? []
      : [`${formatNumberOf(counted, 'measurement')} counted by the server`]),
    ...fewer.map(fewerLine),
    ...lost.map((line) => `lost at the source: ${line}`),
    ...leftOut.map(({ database, retentionPolicy, measurement, reason, keys, points: some }) => {
      const what = [
        ...(keys > 0 ? [formatNumberOf(keys, 'field')] : []),
        ...(some > 0 ? [formatNumberOf(some, 'point')] : []),
      ]
      return `${database}.${retentionPolicy}.${measurement}: ${what.join(' and ')}: ${reason}`
    }),
  ]
  return {
    document: { target, format, exact: true, dryRun: false, ...result },
    summary: [done, ...remarks.map((line) => `  ${line}`)].map(printable).join('\n'),
    problem: fewer.length > 0 ? missingAt(target, fewer) : incompleteness(result),
  }
}

/** Renders which shards an export of points would read. */
export function pointsPlanReport(
  plan: { readonly shards: readonly ShardName[]; readonly absent: readonly ShardName[] },
  to: { readonly source: string; readonly target: string; readonly format: PointFormat },
): CommandResult {
  const { source, target, format } = to
  const what = `the selected points of ${formatNumberOf(plan.shards.length, 'shard')}`
  const lines = [
    `would export ${what} of ${source}, as ${format}, to ${target}`,
    ...plan.shards.map((shard) => `  shard ${formatShard(shard)}`),
  ]
  return {
    document: { target, format, exact: true, dryRun: true, ...plan },
    summary: lines.map(printable).join('\n'),
  }
}

type Fewer = NonNullable<ExportUrlResult['fewer']>

function fewerLine({
  database,
  retentionPolicy,
  measurement,
  field,
  expected,
  got,
}: Fewer[number]) {
  return `${database}.${retentionPolicy}.${measurement}: ${formatCount(got)} points of ${field} are there, ${formatCount(expected)} were sent`
}

function missingAt(target: string, [first, ...more]: Fewer): SnapError | undefined {
  if (first === undefined) return undefined
  const others = more.length > 0 ? `, and ${formatNumberOf(more.length, 'more field')}` : ''
  return new SnapError('E_DESTINATION', `${target}: ${fewerLine(first)}${others}`, {
    hint: 'does its retention policy drop them at once? run the same again once the cause is gone',
  })
}

function incompleteness({ lost, leftOut }: ExportPointsResult): SnapError | undefined {
  if (lost.length === 0 && leftOut.length === 0) return undefined
  const keys = leftOut.reduce((sum, left) => sum + left.keys, 0)
  const points = leftOut.reduce((sum, left) => sum + left.points, 0)
  const what = [
    ...(keys > 0 ? [`${formatCount(keys)} fields left out`] : []),
    ...(points > 0 ? [`${formatCount(points)} points left out or changed`] : []),
    ...(lost.length > 0 ? ['the source itself has lost data'] : []),
  ]
  return new SnapError('E_INCOMPLETE', `the export is incomplete: ${what.join(', ')}`, {
    hint: 'the result names each; a set (--format portable) holds every point',
  })
}
