import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import type { BackupPlace } from '../../operations/open-source.ts'
import type { ServerPlace } from '../../operations/server.ts'
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
import { addPointOptions, readPointOptions } from '../point-options.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { readHostPlace, readServerPlace } from '../server-place.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'

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
  addStoreOptions(command)
  addGeneralOptions(command)
  command.action((a: string | undefined, b: string | undefined) =>
    runCommand(context, command, async (run) => {
      const first = parsePlace(placeOf(run, { name: 'A', value: a }), 'A')
      const second = parseSecond(b, first, command)
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const wish = {
        ...{ jobs, limitRate, tempDir, progress: run.progress, signal: run.signal },
        selection: readSelectionOptions(command),
        range: readExactRange(command),
        series: readPointOptions(command),
        attempts: readConnectionOptions(command).retries + 1,
      }
      const { diff } = await import('../../operations/diff.ts')
      const { openSource } = await import('../../operations/open-source.ts')
      const left = await openSource(await openPlace(first, command, { context, run }))
      try {
        const right = await openSource(await openPlace(second, command, { context, run }))
        try {
          return diffReport(await diff({ ...wish, left: left.source, right: right.source }))
        } finally {
          await right.close()
        }
      } finally {
        await left.close()
      }
    }),
  )
}

async function openPlace(
  place: DiffPlace | undefined,
  command: Command,
  { context, run }: { readonly context: CliContext; readonly run: Run },
): Promise<ServerPlace | BackupPlace> {
  if (place === undefined) return readServerPlace(command, context)
  if ('host' in place) return { ...readHostPlace(command, context), host: place.host }
  const store = await openStoreAt(command, place.from)
  const selection = readSelectionOptions(command)
  return { store, set: place.set, selection, signal: run.signal }
}
