import { tmpdir } from 'node:os'
import type { Command } from 'commander'
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
import { checkExport, EXPORT_OPTIONS, refuseTarget } from '../export-options.ts'
import { addGeneralOptions } from '../general-options.ts'
import {
  addEncryptionOptions,
  readRecipients,
  readRecipientsOrPassphrase,
  withOpenedStore,
} from '../key-options.ts'
import { addSettings } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { readPackageInfo } from '../package-info.ts'
import { addPointOptions, readPointOptions } from '../point-options.ts'
import { pointsPlanReport, pointsReport } from '../points-report.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { readServerPlace } from '../server-place.ts'
import { refuseTogether } from '../settings.ts'
import { stateDirectory } from '../state-directory.ts'
import { addLockOptions, addTargetOptions, openTargetAt, withStore } from '../store-options.ts'
import { addUrlOptions, readUrlOptions, type UrlOptions } from '../url-options.ts'

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
  addSettings(command, EXPORT_OPTIONS)
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
      const format = away ? 'lp' : EXPORT_OPTIONS.format.read(command)
      checkExport(command, target, format)
      if (away !== undefined) refuseTogether(command, 'to-url', ['format', 'compression', 'last'])
      return await fromPlace(command, { context, run }, async (place, run) => {
        const { refuseInside } = await import('../../operations/refuse-inside.ts')
        if (target !== '-' && away === undefined) await refuseInside(place, target)
        if (EXPORT_OPTIONS.dryRun.read(command) && format !== 'portable')
          return await planPoints(command, { place, target, format }, run)
        if (away !== undefined) return await exportAway(command, { place, away, context }, run)
        return format === 'portable'
          ? await exportSet(command, { place, target, context }, run)
          : await exportFormat(command, { place, target, format }, run)
      })
    }),
  )
}

type SourcePlace = ServerPlace | BackupPlace

/** Does some work with what is exported from; a backup is locked, and the run ends with its lock. */
async function fromPlace(
  command: Command,
  { context, run }: { readonly context: CliContext; readonly run: Run },
  work: (place: SourcePlace, run: Run) => Promise<CommandResult>,
): Promise<CommandResult> {
  const location = EXPORT_OPTIONS.from.read(command)
  if (location === undefined) return await work(readServerPlace(command, context), run)
  const set = EXPORT_OPTIONS.set.read(command)
  const selection = readSelectionOptions(command)
  const use = EXPORT_OPTIONS.dryRun.read(command) ? 'look' : 'read'
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
  const compression = EXPORT_OPTIONS.compression.read(command) ?? 'gzip'
  const dryRun = EXPORT_OPTIONS.dryRun.read(command)
  const { withIgzip } = await import('../../operations/igzip.ts')
  const { tempDir, progress } = wish
  const usesIgzip = compression === 'gzip' && !dryRun
  const igzip = usesIgzip ? { path: context.env['PATH'], tempDir, progress } : undefined
  const { withSource } = await import('../../operations/open-source.ts')
  return await withStore(
    command,
    { run, location: target, use: dryRun ? 'look' : 'write' },
    (into) =>
      withSource(place, async (source) => {
        const options = {
          ...{ ...wish, ...into, source, recipients, task: 'export' as const },
          ...{ skipErrors: false, dryRun, compression },
          fingerprint: EXPORT_OPTIONS.fingerprint.read(command) === 'on',
          version: readPackageInfo().version,
        }
        const result = await withIgzip(igzip, (findCompressor) =>
          backup({ ...options, findCompressor }),
        )
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
    const ddl = EXPORT_OPTIONS.ddl.read(command)
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
  const compression = EXPORT_OPTIONS.compression.read(command)
  const gzip = compression === undefined ? target.endsWith('.gz') : compression === 'gzip'
  const { exportPoints } = await import('../../operations/export-points.ts')
  const { withSource } = await import('../../operations/open-source.ts')
  const { locateExport } = await import('../../operations/export-target.ts')
  const into = await locateExport(target, {
    stream: run.stdout,
    openStore: (location) => openTargetAt(command, location),
  })
  return await withSource(place, async (source) => {
    const ddl = EXPORT_OPTIONS.ddl.read(command)
    const last = EXPORT_OPTIONS.last.read(command)
    const result = await exportPoints({ ...wish, source, place: into, format, gzip, ddl, last })
    return pointsReport(result, { target, format })
  })
}
