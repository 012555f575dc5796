import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { backupReport } from '../backup-report.ts'
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
import { addGeneralOptions } from '../general-options.ts'
import { addHttpOptions, readHttpOptions } from '../http-options.ts'
import { addEncryptionOptions, readRecipientsOrPassphrase } from '../key-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { readPackageInfo } from '../package-info.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { readServerPlace } from '../server-place.ts'
import { refuseTogether } from '../settings.ts'
import { addLockOptions, addTargetOptions, withStore } from '../store-options.ts'
import { parseDuration, parseTime } from '../times.ts'
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
  incremental: switchSetting({
    flags: '--incremental',
    description: 'store only shards that changed, and share the other archives with older sets',
    group: GROUP,
  }),
  fullEvery: valueSetting({
    flags: '--full-every <duration>',
    description: 'fetch all anew once an archive that would be shared is older; 0: always',
    parse: (text, name) => (text === '0' ? 0 : parseDuration(text, name)),
    fallback: '7d',
    group: GROUP,
  }),
  trustProbe: switchSetting({
    flags: '--trust-probe',
    description:
      'take a shard of influxd for unchanged if no file is newer, without its HTTP statistics',
    group: GROUP,
  }),
  resume: switchSetting({
    flags: '--resume',
    description:
      'go on with the shards that a run which died had finished, and leave them if it fails',
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
  addLockOptions(command)
  addWatchOptions(command)
  addEncryptionOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const target = placeOf(run, { name: 'TARGET', value })
      refuseTogether(command, 'since', ['start', 'end'])
      refuseTogether(command, 'incremental', ['since', 'start', 'end'])
      refuseTogether(command, 'resume', ['since', 'start', 'end'])
      return await backUp(command, { context, target }, run)
    }),
  )
}

async function backUp(
  command: Command,
  { context, target }: { readonly context: CliContext; readonly target: string },
  run: Run,
): Promise<CommandResult> {
  const wish = readWish(command)
  const { backup } = await import('../../operations/backup.ts')
  const { openServer } = await import('../../operations/server.ts')
  const { ServerSource } = await import('../../operations/server-source.ts')
  const { refuseInside } = await import('../../operations/refuse-inside.ts')
  const { withIgzip } = await import('../../operations/igzip.ts')
  const place = await readHttpOptions(command, context)
  const recipients = await readRecipientsOrPassphrase(command, context)
  const from = readServerPlace(command, context)
  await refuseInside(from, target)
  const use = wish.dryRun ? 'look' : 'write'
  const usesIgzip = wish.compression === 'gzip' && !wish.dryRun
  const [{ progress }, { tempDir }] = [run, wish]
  const igzip = usesIgzip ? { path: context.env['PATH'], tempDir, progress } : undefined
  return await withStore(command, { run, location: target, use }, async ({ store, signal }) => {
    const server = await openServer(from)
    try {
      const source = new ServerSource(server)
      const http = await source.openHttp(place, signal)
      const options = { ...wish, source, http, store, recipients, signal, progress }
      const result = await withIgzip(igzip, (findCompressor) =>
        backup({ ...options, findCompressor }),
      )
      return backupReport(result, store.url)
    } finally {
      await server.close()
    }
  })
}

/** What the options of the command say themselves. */
function readWish(command: Command) {
  const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
  return {
    ...{ jobs, limitRate, tempDir },
    since: OPTIONS.since.read(command),
    range: readExactRange(command),
    selection: readSelectionOptions(command),
    compression: OPTIONS.compression.read(command),
    fingerprint: OPTIONS.fingerprint.read(command) === 'on',
    attempts: readConnectionOptions(command).retries + 1,
    skipErrors: OPTIONS.skipErrors.read(command),
    twice: OPTIONS.twice.read(command),
    incremental: readIncremental(command),
    resume: OPTIONS.resume.read(command),
    dryRun: OPTIONS.dryRun.read(command),
    version: readPackageInfo().version,
  }
}

function readIncremental(command: Command) {
  if (!OPTIONS.incremental.read(command)) return undefined
  const fullEvery = OPTIONS.fullEvery.read(command)
  return { fullEvery, trustProbe: OPTIONS.trustProbe.read(command) }
}
