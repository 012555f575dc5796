import { SnapError } from '../errors.ts'
import type { BackupResult } from '../operations/backup.ts'
import { formatBytes, formatNumberOf, printable } from './format.ts'
import type { CommandResult } from './output.ts'
import { formatShard } from './progress-lines.ts'

/** Renders what a backup or an export into a set did. */
export function backupReport(
  result: BackupResult,
  target: string,
  task: 'back up' | 'export' = 'back up',
): CommandResult {
  const { completeness, completenessReason, parent, fullBecause, fetchedBytes } = result
  const { set, shards, dropped, skipped, absent, unchanged, empty, lost, undeleted } = result
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const stored = shards.reduce((sum, shard) => sum + shard.stored, 0)
  const fresh = shards.filter(({ reused }) => reused === undefined)
  const document = {
    ...{ target, set: set ?? null, dryRun: set === undefined, bytes, stored },
    ...{ completeness, completenessReason },
    shards: shards.map(({ evidence: _, data: __, ...shard }) => shard),
    ...{ dropped, skipped, absent, empty, lost, undeleted },
    unchanged: unchanged.map(({ since: _, ...shard }) => shard),
    ...(parent && { parent }),
    ...(fullBecause && { fullBecause }),
    fetchedBytes,
  }
  const count = formatNumberOf(shards.length, 'shard')
  const done =
    set === undefined
      ? `would ${task} ${count} to ${target}`
      : `${task === 'export' ? 'exported' : 'backed up'} ${count}, ${formatBytes(bytes)} (${formatBytes(stored)} stored), as set ${set} in ${target}`
  const remarks = remarksOf(result, { fresh, bytes })
  const summary = [done, ...remarks.map((line) => `  ${line}`)].map(printable).join('\n')
  return { document, summary, problem: incompleteness(result) }
}

function remarksOf(
  result: BackupResult,
  { fresh, bytes }: { readonly fresh: BackupResult['shards']; readonly bytes: number },
): string[] {
  const { completeness, completenessReason, fullBecause } = result
  const { set, shards, dropped, skipped, absent, unchanged, empty, lost, undeleted } = result
  const shared = shards.length - fresh.length
  return [
    ...(set === undefined ? fresh.map((shard) => `shard ${formatShard(shard)}`) : []),
    ...(fullBecause === undefined ? [] : [`nothing shared: ${fullBecause}`]),
    ...(shared === 0 ? [] : [sharing(result, shared, bytes)]),
    ...(unchanged.length > 0 ? [`${formatNumberOf(unchanged.length, 'shard')} unchanged`] : []),
    ...unheldOf(result).map(({ shardId }) => `shard ${shardId} is in no older set here`),
    ...(empty.length > 0
      ? [`${formatNumberOf(empty.length, 'shard')} without a point in this selection`]
      : []),
    ...dropped.map(({ shardId, reason }) => `shard ${shardId} left out: ${reason}`),
    ...skipped.map(({ shardId, reason }) => `shard ${shardId} skipped: ${reason}`),
    ...(absent.length > 0
      ? [
          `${formatNumberOf(absent.length, 'shard')} of the metastore not on the server: ${absent.map(({ shardId }) => shardId).join(', ')}`,
        ]
      : []),
    ...lost.map((line) => `lost at the source: ${line}`),
    ...(set !== undefined && completeness === 'unconfirmed'
      ? [`not confirmed to be all that the server has: ${completenessReason}${remedyOf(result)}`]
      : []),
    ...(undeleted > 0
      ? [`${formatNumberOf(undeleted, 'unfinished object')} stay: this key may not delete them`]
      : []),
  ]
}

function sharing({ set, fetchedBytes }: BackupResult, shared: number, bytes: number): string {
  const what = `${formatNumberOf(shared, 'shard')} unchanged: in the archives of older sets`
  if (set === undefined) return what
  return `${what}; fetched ${formatBytes(fetchedBytes)} of ${formatBytes(bytes)}`
}

function unheldOf({ unchanged }: BackupResult) {
  return unchanged.filter(({ held }) => !held)
}

/** What makes a server tell, if that is what was missing. */
function remedyOf({ shards, skipped }: BackupResult): string {
  const isUntold = skipped.length === 0 && shards.some(({ complete }) => !complete)
  return isUntold ? '; name its HTTP API (--http) or have it asked twice (--twice)' : ''
}

function incompleteness(result: BackupResult): SnapError | undefined {
  const { skipped, lost } = result
  const unheld = unheldOf(result)
  if (skipped.length + lost.length + unheld.length === 0) return undefined
  const what = [
    ...(unheld.length > 0
      ? [`${formatNumberOf(unheld.length, 'unchanged shard')} in no older set here`]
      : []),
    ...(skipped.length > 0 ? [`${formatNumberOf(skipped.length, 'shard')} skipped`] : []),
    ...(lost.length > 0
      ? [`the source itself has lost data in ${formatNumberOf(lost.length, 'place')}`]
      : []),
  ]
  return new SnapError('E_INCOMPLETE', `the set is incomplete: ${what.join(', ')}`, {
    hint: 'the result names each; run again once the cause is gone',
  })
}
