import { SnapError } from '../errors.ts'
import type { RestoredShard, RestoreResult } from '../operations/restore.ts'
import type { Loss } from '../operations/salvage.ts'
import { formatGoTime } from '../protocol/go-time.ts'
import { describeDuration, durationLine } from './duration-report.ts'
import { forgottenLines, forgottenProblem } from './forgotten-report.ts'
import { formatBytes, formatNumberOf, printable } from './format.ts'
import type { CommandResult } from './output.ts'
import { formatShard } from './progress-lines.ts'

/** Renders what a restore did. */
export function restoreReport(result: RestoreResult): CommandResult {
  const { target, set, kind, databases, shards, lost, leftOut, dryRun } = result
  const { durations, subscriptions, continuousQueries, users } = result
  const expiring = result.expiring.map(({ expires, ...shard }) => ({
    ...shard,
    expires: formatGoTime(expires),
  }))
  const damaged = result.damaged.map(describeLoss)
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const document = {
    ...{ target, set: set ?? null, kind, dryRun, databases, shards, bytes },
    ...{ lost, damaged, expiring, leftOut, subscriptions },
    durations: durations.map(describeDuration),
    continuousQueries,
    users,
  }
  const remarks = [
    ...(dryRun ? shards.map(plannedLine) : []),
    ...lost.map(({ shardId, reason }) => `shard ${shardId} was not backed up: ${reason}`),
    ...damaged.map(lossLine),
    ...leftOut.map(({ name, reason }) => `${name} left out: ${reason}`),
    ...expiring.map(
      ({ shardId, retentionPolicy, expires }) =>
        `shard ${shardId} will be dropped at the next retention check: policy ${retentionPolicy} keeps it until ${expires} (--rp-duration inf keeps it)`,
    ),
    ...forgottenLines(result),
    ...durations.map((duration) => durationLine(duration)),
    ...subscriptions.map(
      ({ database, retentionPolicy, name }) =>
        `subscription ${name} of ${database}.${retentionPolicy} left out (--subscriptions restores it)`,
    ),
  ]
  const lines = [doneLine(result, bytes), ...remarks.map((line) => `  ${line}`)]
  return {
    document,
    summary: lines.map(printable).join('\n'),
    problem: damaged.length + lost.length > 0 ? incomplete(result) : forgottenProblem(result),
  }
}

/** Where a shard comes from and goes to. */
function plannedLine(shard: RestoredShard): string {
  const { database, retentionPolicy, newDatabase, newRetentionPolicy } = shard
  const isSame = database === newDatabase && retentionPolicy === newRetentionPolicy
  const from = `shard ${formatShard(shard)}`
  return isSame ? from : `${from} -> ${newDatabase}/${newRetentionPolicy}`
}

function doneLine({ databases, shards, dryRun, target }: RestoreResult, bytes: number): string {
  const names = databases.map(({ from, to }) => (from === to ? from : `${from} as ${to}`))
  const what = `${names.join(', ')}: ${formatNumberOf(shards.length, 'shard')}`
  if (dryRun) return `would restore ${what}, to ${target}`
  const resumed = shards.filter((shard) => shard.resumed).length
  const before = resumed > 0 ? ` (${formatNumberOf(resumed, 'shard')} before)` : ''
  return `restored ${what}${before}, ${formatBytes(bytes)}, to ${target}`
}

function describeLoss({ minTime, maxTime, ...loss }: Loss) {
  const start = minTime === undefined ? undefined : formatGoTime(minTime)
  const end = maxTime === undefined ? undefined : formatGoTime(maxTime)
  return { ...loss, start, end }
}

function lossLine(loss: ReturnType<typeof describeLoss>): string {
  const { shardId, database, retentionPolicy, start, end, message } = loss
  if (shardId === undefined) return message
  return `shard ${shardId} (${database}.${retentionPolicy}), ${start} to ${end}: ${message}`
}

function incomplete({ damaged, lost }: RestoreResult): SnapError {
  const what = [
    ...(lost.length > 0 ? [`${formatNumberOf(lost.length, 'shard')} could not be backed up`] : []),
    ...(damaged.length > 0 ? [`it is damaged in ${formatNumberOf(damaged.length, 'place')}`] : []),
  ]
  return new SnapError('E_INCOMPLETE', `the set is incomplete: ${what.join(', ')}`, {
    hint: 'the result names each; an older set may hold it (--set)',
  })
}
