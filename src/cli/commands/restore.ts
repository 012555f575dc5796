import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { RestoreResult } from '../../operations/restore.ts'
import { formatGoTime } from '../../protocol/go-time.ts'
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
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addHttpOptions, readHttpOptions } from '../http-options.ts'
import { addSettings, switchSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { formatShard } from '../progress-lines.ts'
import { addRenameOptions, readRenameOptions } from '../rename-options.ts'
import { placeOf, runCommand } from '../run.ts'
import { readWritablePlace } from '../server-place.ts'
import { stateDirectory } from '../state-directory.ts'

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
  addHttpOptions(command)
  addTransferOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const { set, ...renames } = readRenameOptions(command)
      const { restore } = await import('../../operations/restore.ts')
      const { openStore } = await import('../../operations/open-store.ts')
      const result = await restore({
        ...{ target: readWritablePlace(command, context), store: openStore(source) },
        ...{ jobs, limitRate, tempDir, set, renames },
        selection: readSelectionOptions(command),
        attempts: readConnectionOptions(command).retries + 1,
        http: await readHttpOptions(command, context),
        stateDir: stateDirectory(context.env),
        resume: OPTIONS.resume.read(command),
        readBack: OPTIONS.readBack.read(command),
        dryRun: OPTIONS.dryRun.read(command),
        progress: run.progress,
        signal: run.signal,
      })
      return restoreReport(result)
    }),
  )
}

function restoreReport(result: RestoreResult): CommandResult {
  const { target, set, kind, databases, shards, lost, leftOut, dryRun } = result
  const expiring = result.expiring.map(({ expires, ...shard }) => ({
    ...shard,
    expires: formatGoTime(expires),
  }))
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const document = {
    ...{ target, set: set ?? null, kind, dryRun, databases, shards, bytes },
    ...{ lost, expiring, leftOut },
  }
  const names = databases.map(({ from, to }) => (from === to ? from : `${from} as ${to}`))
  const what = `${names.join(', ')}: ${formatNumberOf(shards.length, 'shard')}`
  const done = dryRun
    ? `would restore ${what}, to ${target}`
    : `restored ${what}, ${formatBytes(bytes)}, to ${target}`
  const remarks = [
    ...(dryRun ? shards.map((shard) => `shard ${formatShard(shard)}`) : []),
    ...lost.map(({ shardId, reason }) => `shard ${shardId} was not backed up: ${reason}`),
    ...leftOut.map(({ name, reason }) => `${name} left out: ${reason}`),
    ...expiring.map(
      ({ shardId, retentionPolicy, expires }) =>
        `shard ${shardId} will be dropped at the next retention check: policy ${retentionPolicy} keeps it until ${expires}`,
    ),
  ]
  return {
    document,
    summary: [done, ...remarks.map((line) => `  ${line}`)].map(printable).join('\n'),
    problem: lost.length > 0 ? incomplete(lost.length) : undefined,
  }
}

function incomplete(count: number): SnapError {
  const message = `the set is incomplete: ${formatNumberOf(count, 'shard')} could not be backed up`
  return new SnapError('E_INCOMPLETE', message, {
    hint: 'the result names each; an older set may hold it (--set)',
  })
}
