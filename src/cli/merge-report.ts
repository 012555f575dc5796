import { SnapError } from '../errors.ts'
import type { MergeResult } from '../operations/merge.ts'
import type { OnConflict } from '../operations/merge-look.ts'
import { forgottenLines, forgottenProblem } from './forgotten-report.ts'
import { formatCount, formatNumberOf, printable } from './format.ts'
import type { CommandResult } from './output.ts'
import { tableLines } from './table.ts'

const COLUMNS = [
  { title: 'shard' },
  { title: 'new', align: 'right' },
  { title: 'equal', align: 'right' },
  { title: 'conflicting', align: 'right' },
] as const

/** Renders what a merge did, or would do. */
export function mergeReport(result: MergeResult, onConflict: OnConflict): CommandResult {
  const { target, set, added, equal, conflicting, dryRun, shards, databases } = result
  const { unwritten, lost } = result
  const names = databases.map(({ from, to }) => (from === to ? from : `${from} into ${to}`))
  const winner = onConflict === 'backup' ? 'the backup wins' : 'live stays'
  const lines = [
    `${dryRun ? 'would merge' : 'merged'} ${names.join(', ')}, to ${target}: ${formatNumberOf(added, 'new point')}, ${formatCount(equal)} equal, ${formatCount(conflicting)} conflicting (${winner})`,
    ...tableLines(COLUMNS, shards.map(rowOf)).map((line) => `  ${line}`),
    ...unwritten.map(
      ({ database, retentionPolicy, measurement, reason }) =>
        `  ${database}.${retentionPolicy}.${measurement}: cannot be written over HTTP: ${reason}`,
    ),
    ...forgottenLines(result).map((line) => `  ${line}`),
    ...lost.map((line) => `  not in the backup: ${line}`),
  ]
  return {
    document: { merge: true, onConflict, ...result, set: set ?? null },
    summary: lines.map(printable).join('\n'),
    problem: problemOf(result),
  }
}

function rowOf(shard: MergeResult['shards'][number]): string[] {
  const { shardId, newShardIds, database, retentionPolicy } = shard
  const into = newShardIds.length > 0 ? ` -> ${newShardIds.join(', ')}` : ''
  const counts = [shard.added, shard.equal, shard.conflicting].map(formatCount)
  return [`${shardId}${into} ${database}.${retentionPolicy}`, ...counts]
}

function problemOf(result: MergeResult): SnapError | undefined {
  const { unwritten, lost } = result
  if (unwritten.length + lost.length === 0) return forgottenProblem(result)
  return new SnapError('E_INCOMPLETE', 'not everything was merged', {
    hint: 'the result names what could not be written, or is not in the backup',
  })
}
