import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
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
import { addRenameOptions, readRenameOptions } from '../rename-options.ts'
import { restoreReport } from '../restore-report.ts'
import { placeOf, runCommand } from '../run.ts'
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
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const { set, ...renames } = readRenameOptions(command)
      const merging = readMergeOptions(command, context.env)
      const http = await readHttpOptions(command, context)
      const dryRun = OPTIONS.dryRun.read(command)
      const where = { context, run, location: source, use: dryRun ? 'look' : 'read' } as const
      const wish = {
        ...{ jobs, limitRate, tempDir, set, renames, http, dryRun },
        chain: readChainOption(command),
        selection: readSelectionOptions(command),
        ...readPointsWish(command),
        attempts: readConnectionOptions(command).retries + 1,
      }
      const target = readWritablePlace(command, context)
      if ('directory' in target && isOnLine(command, 'http')) {
        throw new SnapError('E_USAGE', '--http is of a running server: directories need none')
      }
      if (merging !== undefined) {
        const forgotten = readMergeForgotten(command)
        const { merge } = await import('../../operations/merge.ts')
        return await withOpenedStore(command, where, async (place) => {
          const { progress } = run
          const result = await merge({
            ...place,
            ...wish,
            ...merging,
            ...forgotten,
            target,
            progress,
          })
          const { width } = await screenOf(command, context)
          return mergeReport(result, { onConflict: merging.onConflict, width })
        })
      }
      refuseMissingQueries(command)
      const { restore } = await import('../../operations/restore.ts')
      return await withOpenedStore(command, where, async (place) => {
        const result = await restore({
          ...{ ...place, ...wish, target, policies: readPolicyWish(command) },
          ...readForgottenWish(command),
          stateDir: stateDirectory(context.env),
          salvage: OPTIONS.salvage.read(command),
          resume: OPTIONS.resume.read(command),
          readBack: OPTIONS.readBack.read(command),
          progress: run.progress,
        })
        return restoreReport(result)
      })
    }),
  )
}
