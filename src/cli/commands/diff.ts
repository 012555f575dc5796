import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import type { ShardSource } from '../../operations/shard-source.ts'
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
import { type DiffPlace, parsePlace, parseSecond } from '../diff-places.ts'
import { diffReport } from '../diff-report.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addIdentityOptions, withOpenedStore } from '../key-options.ts'
import type { CommandResult } from '../output.ts'
import { addPointOptions, readPointOptions } from '../point-options.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { screenOf } from '../screen.ts'
import { readHostPlace, readServerPlace } from '../server-place.ts'
import { addLockOptions, addStoreOptions } from '../store-options.ts'

/** Defines `snap diff`. */
export function defineDiff(program: Command, context: CliContext): void {
  const command = program
    .command('diff')
    .description('say what points two sets differ in, or a set and a server or data directory')
    .argument('[A]', 'a backup, or one of its sets: PLACE@SET; or host:port')
    .argument('[B]', 'the same, or a set of A (default: the server of --host, or a data directory)')
  addConnectionOptions(command)
  addDirectoryOptions(command)
  addSelectionOptions(command)
  addTimeRangeOptions(command)
  addPointOptions(command)
  addTransferOptions(command)
  addChainOption(command)
  addStoreOptions(command)
  addLockOptions(command)
  addIdentityOptions(command)
  addGeneralOptions(command)
  command.action((a: string | undefined, b: string | undefined) =>
    runCommand(context, command, async (run) => {
      const first = parsePlace(placeOf(run, { name: 'A', value: a }), 'A')
      const second = parseSecond(b, first, command)
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const wish = {
        ...{ jobs, limitRate, tempDir, progress: run.progress },
        selection: readSelectionOptions(command),
        range: readExactRange(command),
        series: readPointOptions(command),
        attempts: readConnectionOptions(command).retries + 1,
      }
      const { width } = await screenOf(command, context)
      const { diff } = await import('../../operations/diff.ts')
      return await withPlace(first, command, { context, run }, (left, within) =>
        withPlace(second, command, { context, run: within }, async (right, { signal }) =>
          diffReport(await diff({ ...wish, left, right, signal }), width),
        ),
      )
    }),
  )
}

/** Does some work with one side of the comparison; a backup is locked, and the run ends with its lock. */
async function withPlace(
  place: DiffPlace | undefined,
  command: Command,
  { context, run }: { readonly context: CliContext; readonly run: Run },
  work: (source: ShardSource, run: Run) => Promise<CommandResult>,
): Promise<CommandResult> {
  const { withSource } = await import('../../operations/open-source.ts')
  if (place !== undefined && 'from' in place) {
    const wish = {
      set: place.set,
      chain: readChainOption(command),
      tempDir: readTransferOptions(command).tempDir,
      progress: run.progress,
      selection: readSelectionOptions(command),
    }
    const where = { context, run, location: place.from, use: 'read' } as const
    return await withOpenedStore(command, where, (locked) =>
      withSource({ ...wish, ...locked }, (source) =>
        work(source, { ...run, signal: locked.signal }),
      ),
    )
  }
  const server =
    place === undefined
      ? readServerPlace(command, context)
      : { ...readHostPlace(command, context), host: place.host }
  return await withSource(server, (source) => work(source, run))
}
