import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import type { RestoreResult } from '../../operations/restore.ts'
import { formatGoTime } from '../../protocol/go-time.ts'
import {
  addConnectionOptions,
  addDirectoryOptions,
  addSelectionOptions,
  addTransferOptions,
  addWritingOptions,
  readSelectionOptions,
  readTransferOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings, switchSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { formatShard } from '../progress-lines.ts'
import { addRenameOptions, readRenameOptions } from '../rename-options.ts'
import { placeOf, runCommand } from '../run.ts'
import { readWritablePlace } from '../server-place.ts'

const GROUP = 'Restore:'
const OPTIONS = {
  readBack: switchSetting({
    flags: '--no-readback',
    description: 'do not read restored shards back and compare them',
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
  addTransferOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const { set, ...renames } = readRenameOptions(command)
      const { restore } = await import('../../operations/restore.ts')
      const { openServer } = await import('../../operations/server.ts')
      const { openStore } = await import('../../operations/open-store.ts')
      const store = openStore(source)
      const server = await openServer(readWritablePlace(command, context))
      try {
        const result = await restore({
          ...{ server, store, jobs, limitRate, tempDir },
          ...{ set, renames },
          selection: readSelectionOptions(command),
          readBack: OPTIONS.readBack.read(command),
          dryRun: OPTIONS.dryRun.read(command),
          progress: run.progress,
          signal: run.signal,
        })
        return restoreReport(result, server.name)
      } finally {
        await server.close()
      }
    }),
  )
}

function restoreReport(result: RestoreResult, target: string): CommandResult {
  const { set, kind, databases, shards, leftOut, dryRun } = result
  const expiring = result.expiring.map(({ expires, ...shard }) => ({
    ...shard,
    expires: formatGoTime(expires),
  }))
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const document = {
    target,
    set: set ?? null,
    kind,
    dryRun,
    databases,
    shards,
    bytes,
    expiring,
    leftOut,
  }
  const names = databases.map(({ from, to }) => (from === to ? from : `${from} as ${to}`))
  const what = `${names.join(', ')}: ${formatNumberOf(shards.length, 'shard')}`
  const done = dryRun
    ? `would restore ${what}, to ${target}`
    : `restored ${what}, ${formatBytes(bytes)}, to ${target}`
  const remarks = [
    ...(dryRun ? shards.map((shard) => `shard ${formatShard(shard)}`) : []),
    ...leftOut.map(({ name, reason }) => `${name} left out: ${reason}`),
    ...expiring.map(
      ({ shardId, retentionPolicy, expires }) =>
        `shard ${shardId} will be dropped at the next retention check: policy ${retentionPolicy} keeps it until ${expires}`,
    ),
  ]
  return {
    document,
    summary: [done, ...remarks.map((line) => `  ${line}`)].map(printable).join('\n'),
  }
}
