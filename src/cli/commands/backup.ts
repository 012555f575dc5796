import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { BackupResult } from '../../operations/backup.ts'
import {
  addConnectionOptions,
  addDirectoryOptions,
  addSelectionOptions,
  addTimeRangeOptions,
  addTransferOptions,
  readConnectionOptions,
  readExactRange,
  readSelectionOptions,
  readTransferOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addHttpOptions, readHttpOptions } from '../http-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { readPackageInfo } from '../package-info.ts'
import { formatShard } from '../progress-lines.ts'
import { placeOf, runCommand } from '../run.ts'
import { readServerPlace } from '../server-place.ts'
import { refuseTogether } from '../settings.ts'
import { addTargetOptions, openTargetAt } from '../store-options.ts'
import { parseTime } from '../times.ts'
import { oneOf } from '../values.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Backup:'
const OPTIONS = {
  since: valueSetting({
    flags: '--since <time>',
    description: 'only shards that changed after this time, each whole',
    parse: (text, name) => parseTime(text, name),
    group: GROUP,
  }),
  compression: valueSetting({
    flags: '--compression <kind>',
    description: 'gzip, or none: gzip with stored blocks, fast and large',
    parse: oneOf('gzip', 'none'),
    fallback: 'gzip',
    group: GROUP,
  }),
  fingerprint: valueSetting({
    flags: '--fingerprint <on|off>',
    description: 'decode every block and keep counts and fingerprints of the points',
    parse: oneOf('on', 'off'),
    fallback: 'on',
    group: GROUP,
  }),
  skipErrors: switchSetting({
    flags: '--skip-errors',
    description: 'leave out shards that cannot be fetched, say so, and end with 3',
    group: GROUP,
  }),
  twice: switchSetting({
    flags: '--twice',
    description:
      'list every shard of influxd a second time and compare: catches a cut between files',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'say what would be backed up',
    group: GROUP,
  }),
}

/** Defines `snap backup`. */
export function defineBackup(program: Command, context: CliContext): void {
  const command = program
    .command('backup')
    .description('back up a server or a data directory into a portable set')
    .argument('[TARGET]', 'a directory for sets, made if it is not there')
  addConnectionOptions(command)
  addDirectoryOptions(command)
  addSelectionOptions(command)
  addTimeRangeOptions(command)
  addSettings(command, OPTIONS)
  addHttpOptions(command)
  addTransferOptions(command)
  addTargetOptions(command)
  addWatchOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const target = placeOf(run, { name: 'TARGET', value })
      refuseTogether(command, 'since', ['start', 'end'])
      const since = OPTIONS.since.read(command)
      const range = readExactRange(command)
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const { backup } = await import('../../operations/backup.ts')
      const { openServer } = await import('../../operations/server.ts')
      const { ServerSource } = await import('../../operations/server-source.ts')
      const { refuseInside } = await import('../../operations/refuse-inside.ts')
      const place = await readHttpOptions(command, context)
      const store = await openTargetAt(command, target)
      const from = readServerPlace(command, context)
      await refuseInside(from, target)
      const server = await openServer(from)
      try {
        const source = new ServerSource(server)
        const http = await source.openHttp(place, run.signal)
        const result = await backup({
          ...{ source, http, store, since, range, jobs, limitRate, tempDir },
          selection: readSelectionOptions(command),
          compression: OPTIONS.compression.read(command),
          fingerprint: OPTIONS.fingerprint.read(command) === 'on',
          attempts: readConnectionOptions(command).retries + 1,
          skipErrors: OPTIONS.skipErrors.read(command),
          twice: OPTIONS.twice.read(command),
          dryRun: OPTIONS.dryRun.read(command),
          version: readPackageInfo().version,
          progress: run.progress,
          signal: run.signal,
        })
        return backupReport(result, store.url)
      } finally {
        await server.close()
      }
    }),
  )
}

/** Renders what a backup or an export into a set did. */
export function backupReport(
  result: BackupResult,
  target: string,
  task: 'back up' | 'export' = 'back up',
): CommandResult {
  const { completeness, completenessReason } = result
  const { set, shards, dropped, skipped, absent, unchanged, empty, lost, undeleted } = result
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const stored = shards.reduce((sum, shard) => sum + shard.stored, 0)
  const document = {
    ...{ target, set: set ?? null, dryRun: set === undefined, bytes, stored },
    ...{ completeness, completenessReason },
    ...{ shards, dropped, skipped, absent, empty, lost, undeleted },
    unchanged: unchanged.map(({ since: _, ...shard }) => shard),
  }
  const count = formatNumberOf(shards.length, 'shard')
  const done =
    set === undefined
      ? `would ${task} ${count} to ${target}`
      : `${task === 'export' ? 'exported' : 'backed up'} ${count}, ${formatBytes(bytes)} (${formatBytes(stored)} stored), as set ${set} in ${target}`
  const remarks = [
    ...(set === undefined ? shards.map((shard) => `shard ${formatShard(shard)}`) : []),
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
    ...(undeleted > 0
      ? [`${formatNumberOf(undeleted, 'unfinished object')} stay: this key may not delete them`]
      : []),
  ]
  const summary = [done, ...remarks.map((line) => `  ${line}`)].map(printable).join('\n')
  return { document, summary, problem: incompleteness(result) }
}

function unheldOf({ unchanged }: BackupResult) {
  return unchanged.filter(({ held }) => !held)
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
