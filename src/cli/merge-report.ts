import { SnapError } from '../errors.ts'
import type { MergeResult } from '../operations/merge.ts'
import type { OnConflict } from '../operations/merge-look.ts'
import type { OverruledPoints } from '../operations/merge-wish.ts'
import { describeDuration, durationLine } from './duration-report.ts'
import { forgottenLines, forgottenProblem } from './forgotten-report.ts'
import { formatCount, formatNumberOf, printable } from './format.ts'
import type { CommandResult } from './output.ts'
import { tableLines } from './table.ts'

const COLUMNS = [
  { title: 'shard', wraps: true },
  { title: 'new', align: 'right' },
  { title: 'equal', align: 'right' },
  { title: 'conflicting', align: 'right' },
] as const

const INDENT = '  '
const indented = (line: string) => INDENT + line

/** How a merge is rendered. */
export interface MergeReportOptions {
  readonly onConflict: OnConflict
  /** Columns of a terminal. */
  readonly width?: number | undefined
}

/** Renders what a merge did, or would do. */
export function mergeReport(
  result: MergeResult,
  { onConflict, width }: MergeReportOptions,
): CommandResult {
  const { target, set, added, equal, conflicting, dryRun, shards, databases } = result
  const { unwritten, lost } = result
  const overruled = shards.flatMap((shard) => shard.overruled)
  const names = databases.map(({ from, to }) => (from === to ? from : `${from} into ${to}`))
  const winner = onConflict === 'backup' ? 'the backup wins' : 'live stays'
  const lines = [
    `${dryRun ? 'would merge' : 'merged'} ${names.join(', ')}, to ${target}: ${formatNumberOf(added, 'new point')}, ${formatCount(equal)} equal, ${formatCount(conflicting)} conflicting (${winner})`,
    ...result.replaced.map(
      (id) => `  shard ${id} of the server: ${dryRun ? 'would be ' : ''}dropped and made anew`,
    ),
    ...tableLines(COLUMNS, shards.map(rowOf), width && width - INDENT.length).map(indented),
    ...unwritten.map(
      ({ database, retentionPolicy, measurement, reason }) =>
        `  ${database}.${retentionPolicy}.${measurement}: cannot be written over HTTP: ${reason}`,
    ),
    ...overruled.map((points) => `  ${overruledLine(points)}`),
    ...result.durations.map((duration) => `  ${durationLine(duration, 'before')}`),
    ...namedLines(result).map((line) => `  ${line}`),
    ...lost.map((line) => `  not in the backup: ${line}`),
  ]
  return {
    document: {
      ...{ merge: true, onConflict, ...result, set: set ?? null },
      durations: result.durations.map(describeDuration),
    },
    summary: lines.map(printable).join('\n'),
    problem: problemOf(result),
  }
}

/** A merge that was no dry run only names the queries that the server lacks. */
function namedLines(result: MergeResult): string[] {
  const lines = forgottenLines(result)
  if (result.dryRun) return lines
  return lines.map((line, i) =>
    result.continuousQueries[i]?.state === 'planned'
      ? line.replace(': would be made', ': is not there, --missing-cq makes it')
      : line,
  )
}

function rowOf(shard: MergeResult['shards'][number]): string[] {
  const { shardId, newShardIds, database, retentionPolicy } = shard
  const into = newShardIds.length > 0 ? ` -> ${newShardIds.join(', ')}` : ''
  const counts = [shard.added, shard.equal, shard.conflicting].map(formatCount)
  return [`${shardId}${into} ${database}.${retentionPolicy}`, ...counts]
}

function overruledLine({ shardId, database, retentionPolicy, points, first }: OverruledPoints) {
  const shard = `shard ${shardId} of the server, ${database}.${retentionPolicy}`
  return `${shard}: queries return other values than the backup's for ${formatNumberOf(points, 'point')} that its files have: ${first}`
}

function problemOf(result: MergeResult): SnapError | undefined {
  const { unwritten, lost, shards } = result
  const overruled = shards.flatMap((shard) => shard.overruled)
  if (overruled.length > 0) {
    return new SnapError('E_INCOMPLETE', 'the backup did not win everywhere', {
      hint: overruledHint(overruled),
    })
  }
  if (unwritten.length + lost.length === 0) return forgottenProblem(result)
  return new SnapError('E_INCOMPLETE', 'not everything was merged', {
    hint: 'the result names what could not be written, or is not in the backup',
  })
}

/** Who writes now may have overwritten points; in a shard whose time is over it is the server that mixes up its files. */
function overruledHint(overruled: readonly OverruledPoints[]): string {
  const cold = overruled.filter(({ isCold }) => isCold).map(({ shardId }) => shardId)
  if (cold.length === 0) return 'run it again when the time of these shards is over'
  const options = [...new Set(cold)].map((id) => `--replace-shard ${id}`).join(' ')
  return `the server mixes up the files of these shards; the same with ${options} drops them and makes them anew`
}
