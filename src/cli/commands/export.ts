import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { PointFormat } from '../../operations/export-points.ts'
import type { BackupPlace } from '../../operations/open-source.ts'
import type { ServerPlace } from '../../operations/server.ts'
import { backupReport } from '../backup-report.ts'
import { addChainOption, readChainOption } from '../chain-option.ts'
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
import {
  addEncryptionOptions,
  hasRecipients,
  readRecipients,
  readRecipientsOrPassphrase,
  withOpenedStore,
} from '../key-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { readPackageInfo } from '../package-info.ts'
import { addPointOptions, readPointOptions } from '../point-options.ts'
import { pointsPlanReport, pointsReport } from '../points-report.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { readServerPlace } from '../server-place.ts'
import { setSetting } from '../set-option.ts'
import { refuseTogether } from '../settings.ts'
import { stateDirectory } from '../state-directory.ts'
import { addLockOptions, addTargetOptions, openTargetAt, withStore } from '../store-options.ts'
import { addUrlOptions, readUrlOptions, type UrlOptions } from '../url-options.ts'
import { oneOf, parseText, wholeNumber } from '../values.ts'

const GROUP = 'Export:'
const OPTIONS = {
  format: valueSetting({
    flags: '--format <format>',
    description: 'portable (a set), lp (line protocol), csv or parquet',
    parse: oneOf('portable', 'lp', 'csv', 'parquet'),
    fallback: 'portable',
    group: GROUP,
  }),
  from: valueSetting({
    flags: '--from <source>',
    description: 'a backup to export from, instead of a server',
    parse: parseText,
    group: GROUP,
  }),
  set: setSetting({
    description: 'its set: a name, latest, or the newest at a time (default: latest that holds it)',
    group: GROUP,
  }),
  compression: valueSetting({
    flags: '--compression <kind>',
    description: 'gzip or none (default: gzip for a set and for names with .gz at the end)',
    parse: oneOf('gzip', 'none'),
    group: GROUP,
  }),
  fingerprint: valueSetting({
    flags: '--fingerprint <on|off>',
    description: 'for a set: keep counts and fingerprints of the points',
    parse: oneOf('on', 'off'),
    fallback: 'on',
    group: GROUP,
  }),
  last: valueSetting({
    flags: '--last <n>',
    description: 'only the newest n points of each field of each series (lp and csv)',
    parse: wholeNumber(1, 1_000_000_000),
    group: GROUP,
  }),
  ddl: switchSetting({
    flags: '--ddl',
    description: 'begin line protocol with CREATE statements, for influx -import',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'say what would be exported; nothing is written',
    group: GROUP,
  }),
}

/** Defines `snap export`. */
export function defineExport(program: Command, context: CliContext): void {
  const command = program
    .command('export')
    .description(
      'copy exactly the selected points: into a set, as line protocol, CSV or Parquet, or to a database',
    )
    .argument('[TARGET]', 'a directory; with --format also a file, or - for standard output')
  addConnectionOptions(command)
  addDirectoryOptions(command)
  addSelectionOptions(command)
  addTimeRangeOptions(command)
  addPointOptions(command)
  addSettings(command, OPTIONS)
  addUrlOptions(command)
  addTransferOptions(command)
  addChainOption(command)
  addTargetOptions(command)
  addLockOptions(command)
  addEncryptionOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const away = await readUrlOptions(command, context)
      const target = away ? refuseTarget(value, away) : placeOf(run, { name: 'TARGET', value })
      const format = away ? 'lp' : OPTIONS.format.read(command)
      checkOptions(command, target, format)
      if (away !== undefined) refuseTogether(command, 'to-url', ['format', 'compression', 'last'])
      return await fromPlace(command, { context, run }, async (place, run) => {
        const { refuseInside } = await import('../../operations/refuse-inside.ts')
        if (target !== '-' && away === undefined) await refuseInside(place, target)
        if (OPTIONS.dryRun.read(command) && format !== 'portable')
          return await planPoints(command, { place, target, format }, run)
        if (away !== undefined) return await exportAway(command, { place, away, context }, run)
        return format === 'portable'
          ? await exportSet(command, { place, target, context }, run)
          : await exportFormat(command, { place, target, format }, run)
      })
    }),
  )
}

function refuseTarget(value: string | undefined, { to }: UrlOptions): string {
  if (value === undefined) return to.url.origin
  throw new SnapError('E_USAGE', `TARGET and --to-url are both given: ${value}`)
}

function checkOptions(command: Command, target: string, format: PointFormat | 'portable'): void {
  refuseTogether(command, 'from', ['host', 'data-dir', 'wal-dir', 'meta-dir', 'influxdb-config'])
  if (OPTIONS.from.read(command) === undefined && command.getOptionValue('set') !== undefined) {
    throw new SnapError('E_USAGE', '--set goes with --from')
  }
  if (format === 'portable' && target === '-') {
    throw new SnapError('E_USAGE', 'a set has several files, - is one stream', {
      hint: 'name a directory, or choose --format lp, csv or parquet',
    })
  }
  if (format !== 'portable' && hasRecipients(command)) {
    throw new SnapError('E_USAGE', '--encrypt-to goes with --format portable', {
      hint: 'pipe the points through age: snap export --format lp ... - | age -r ...',
    })
  }
  if (format !== 'lp' && OPTIONS.ddl.read(command)) {
    throw new SnapError('E_USAGE', '--ddl goes with --format lp')
  }
  if (format !== 'lp' && format !== 'csv' && OPTIONS.last.read(command) !== undefined) {
    throw new SnapError('E_USAGE', '--last goes with --format lp or csv')
  }
  const gzip = OPTIONS.compression.read(command) === 'gzip'
  if (format === 'parquet' && (gzip || target.endsWith('.gz'))) {
    throw new SnapError('E_USAGE', 'Parquet files are compressed inside, not with gzip')
  }
}

type SourcePlace = ServerPlace | BackupPlace

/** Does some work with what is exported from; a backup is locked, and the run ends with its lock. */
async function fromPlace(
  command: Command,
  { context, run }: { readonly context: CliContext; readonly run: Run },
  work: (place: SourcePlace, run: Run) => Promise<CommandResult>,
): Promise<CommandResult> {
  const location = OPTIONS.from.read(command)
  if (location === undefined) return await work(readServerPlace(command, context), run)
  const set = OPTIONS.set.read(command)
  const selection = readSelectionOptions(command)
  const use = OPTIONS.dryRun.read(command) ? 'look' : 'read'
  const where = { context, run, location, use } as const
  const { tempDir } = readTransferOptions(command)
  const how = { chain: readChainOption(command), tempDir, progress: run.progress }
  return await withOpenedStore(command, where, ({ store, signal }) =>
    work({ store, set, selection, signal, ...how }, { ...run, signal }),
  )
}

/** What both kinds of export are told. */
function wishOf(command: Command, { progress, signal }: Run) {
  const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
  return {
    ...{ jobs, limitRate, tempDir, progress, signal },
    range: readExactRange(command),
    selection: readSelectionOptions(command),
    series: readPointOptions(command),
    attempts: readConnectionOptions(command).retries + 1,
  }
}

interface Export {
  readonly place: SourcePlace
  readonly target: string
}

async function exportSet(
  command: Command,
  { place, target, context }: Export & { readonly context: CliContext },
  run: Run,
): Promise<CommandResult> {
  const wish = wishOf(command, run)
  // A passphrase that a backup is read with is not meant for what is made of it.
  const readKeys = 'store' in place ? readRecipients : readRecipientsOrPassphrase
  const recipients = await readKeys(command, context)
  const { backup } = await import('../../operations/backup.ts')
  const compression = OPTIONS.compression.read(command) ?? 'gzip'
  const dryRun = OPTIONS.dryRun.read(command)
  const { findIgzip } = await import('../../operations/igzip.ts')
  const { withSource } = await import('../../operations/open-source.ts')
  return await withStore(
    command,
    { run, location: target, use: dryRun ? 'look' : 'write' },
    (into) =>
      withSource(place, async (source) => {
        const result = await backup({
          ...{ ...wish, ...into, source, recipients, task: 'export' },
          ...{
            skipErrors: false,
            dryRun,
            compressMember:
              compression === 'gzip' ? await findIgzip(context.env['PATH']) : undefined,
          },
          compression,
          fingerprint: OPTIONS.fingerprint.read(command) === 'on',
          version: readPackageInfo().version,
        })
        const { document, ...report } = backupReport(result, into.store.url, 'export')
        return { ...report, document: { format: 'portable', exact: true, ...document } }
      }),
  )
}

async function exportAway(
  command: Command,
  {
    place,
    away,
    context,
  }: Pick<Export, 'place'> & {
    readonly away: UrlOptions
    readonly context: CliContext
  },
  run: Run,
): Promise<CommandResult> {
  const { to, ...how } = away
  const wish = { ...wishOf(command, run), stateDir: stateDirectory(context.env) }
  const { exportToUrl } = await import('../../operations/export-url.ts')
  const { withSource } = await import('../../operations/open-source.ts')
  return await withSource(place, async (source) => {
    const ddl = OPTIONS.ddl.read(command)
    const result = await exportToUrl({ ...wish, ...how, source, to, ddl })
    const target = to.url.origin + to.url.pathname
    return pointsReport({ ...result, files: [] }, { target, format: 'lp' })
  })
}

/** Neither the target nor a point is looked at: only which shards may hold what was asked for. */
async function planPoints(
  command: Command,
  { place, target, format }: Export & { readonly format: PointFormat },
  run: Run,
): Promise<CommandResult> {
  const { withSource } = await import('../../operations/open-source.ts')
  const { planShards, shardName } = await import('../../operations/plan-shards.ts')
  const { selection, range, signal } = wishOf(command, run)
  return await withSource(place, async (source) => {
    const plan = await planShards({ source, selection, range, signal })
    const found = { shards: plan.shards.map(shardName), absent: plan.missing }
    return pointsPlanReport(found, { source: source.name, target, format })
  })
}

async function exportFormat(
  command: Command,
  { place, target, format }: Export & { readonly format: PointFormat },
  run: Run,
): Promise<CommandResult> {
  const wish = wishOf(command, run)
  const compression = OPTIONS.compression.read(command)
  const gzip = compression === undefined ? target.endsWith('.gz') : compression === 'gzip'
  const { exportPoints } = await import('../../operations/export-points.ts')
  const { withSource } = await import('../../operations/open-source.ts')
  const { locateExport } = await import('../../operations/export-target.ts')
  const into = await locateExport(target, {
    stream: run.stdout,
    openStore: (location) => openTargetAt(command, location),
  })
  return await withSource(place, async (source) => {
    const ddl = OPTIONS.ddl.read(command)
    const last = OPTIONS.last.read(command)
    const result = await exportPoints({ ...wish, source, place: into, format, gzip, ddl, last })
    return pointsReport(result, { target, format })
  })
}
