import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { MergeOptions } from '../../operations/merge-wish.ts'
import type { RestoreOptions } from '../../operations/restore.ts'
import { addChainOption, readChainOption } from '../chain-option.ts'
import {
  addConnectionOptions,
  addDirectoryOptions,
  addSelectionOptions,
  addTransferOptions,
  addWritingOptions,
  readConnectionOptions,
  readSelectionOptions,
  readTransferOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import {
  addForgottenOptions,
  readForgottenWish,
  readMergeForgotten,
  readPolicyWish,
  refuseMissingQueries,
} from '../forgotten-options.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addHttpOptions, readHttpOptions } from '../http-options.ts'
import { addIdentityOptions, withOpenedStore } from '../key-options.ts'
import { addMergeOptions, readMergeOptions, readPointsWish } from '../merge-options.ts'
import { mergeReport } from '../merge-report.ts'
import { addSettings, switchSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { addRenameOptions, readRenameOptions } from '../rename-options.ts'
import { restoreReport } from '../restore-report.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { screenOf } from '../screen.ts'
import { readWritablePlace } from '../server-place.ts'
import { isOnLine } from '../settings.ts'
import { stateDirectory } from '../state-directory.ts'
import { addLockOptions, addStoreOptions } from '../store-options.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Restore:'
const OPTIONS = {
  readBack: switchSetting({
    flags: '--no-readback',
    description: 'do not read restored shards back and compare them',
    group: GROUP,
  }),
  resume: switchSetting({
    flags: '--resume',
    description:
      'go on where an interrupted restore of the same stopped, and let stay what was made',
    group: GROUP,
  }),
  salvage: switchSetting({
    flags: '--salvage',
    description: 'restore what is whole of a damaged set, say what is not, and end with 3',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'check everything and say what would be restored',
    group: GROUP,
  }),
}

/** Defines `snap restore`. */
export function defineRestore(program: Command, context: CliContext): void {
  const command = program
    .command('restore')
    .description('restore databases to a server, or into the directories of a stopped one')
    .argument('[SOURCE]', 'a directory with sets of snap or influxd, or a legacy backup')
  addConnectionOptions(command)
  addDirectoryOptions(command)
  addWritingOptions(command)
  addSelectionOptions(command)
  addRenameOptions(command)
  addSettings(command, OPTIONS)
  addForgottenOptions(command)
  addMergeOptions(command)
  addHttpOptions(command)
  addTransferOptions(command)
  addChainOption(command)
  addStoreOptions(command)
  addLockOptions(command)
  addIdentityOptions(command)
  addWatchOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const given = readWish(command)
      const merging = readMergeOptions(command, context.env)
      const http = await readHttpOptions(command, context)
      const target = readWritablePlace(command, context)
      if ('directory' in target && isOnLine(command, 'http')) {
        throw new SnapError('E_USAGE', '--http is of a running server: directories need none')
      }
      const use = given.dryRun ? 'look' : 'read'
      const where = { context, run, location: source, use } as const
      const wish = { ...given, http, target }
      return merging === undefined
        ? await runRestore(command, where, wish)
        : await runMerge(command, where, { ...wish, ...merging })
    }),
  )
}

interface Where {
  readonly context: CliContext
  readonly run: Run
  readonly location: string
  readonly use: 'look' | 'read'
}

/** What both ways of restoring are told. */
function readWish(command: Command) {
  const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
  const { set, ...renames } = readRenameOptions(command)
  return {
    ...{ jobs, limitRate, tempDir, set, renames },
    dryRun: OPTIONS.dryRun.read(command),
    chain: readChainOption(command),
    selection: readSelectionOptions(command),
    ...readPointsWish(command),
    attempts: readConnectionOptions(command).retries + 1,
  }
}

type Wish = ReturnType<typeof readWish> &
  Pick<MergeOptions, 'http'> &
  Pick<RestoreOptions, 'target'>

async function runMerge(
  command: Command,
  where: Where,
  wish: Wish & NonNullable<ReturnType<typeof readMergeOptions>>,
): Promise<CommandResult> {
  const forgotten = readMergeForgotten(command)
  const { merge } = await import('../../operations/merge.ts')
  return await withOpenedStore(command, where, async (place) => {
    const { progress } = where.run
    const result = await merge({ ...place, ...wish, ...forgotten, progress })
    const { width } = await screenOf(command, where.context)
    return mergeReport(result, { onConflict: wish.onConflict, width })
  })
}

async function runRestore(command: Command, where: Where, wish: Wish): Promise<CommandResult> {
  refuseMissingQueries(command)
  const { restore } = await import('../../operations/restore.ts')
  return await withOpenedStore(command, where, async (place) => {
    const result = await restore({
      ...{ ...place, ...wish, policies: readPolicyWish(command) },
      ...readForgottenWish(command),
      stateDir: stateDirectory(where.context.env),
      salvage: OPTIONS.salvage.read(command),
      resume: OPTIONS.resume.read(command),
      readBack: OPTIONS.readBack.read(command),
      progress: where.run.progress,
    })
    return restoreReport(result)
  })
}
