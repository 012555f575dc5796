import type { Command } from 'commander'
import type { UpdatedMeta } from '../../operations/update-meta.ts'
import {
  addConnectionOptions,
  addSelectionOptions,
  readSelectionOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addIdentityOptions, withOpenedStore } from '../key-options.ts'
import { addSettings, switchSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { formatShard } from '../progress-lines.ts'
import { addRenameOptions, readRenameOptions } from '../rename-options.ts'
import { placeOf, runCommand } from '../run.ts'
import { readHostPlace } from '../server-place.ts'
import { addLockOptions, addStoreOptions } from '../store-options.ts'

const OPTIONS = {
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'check everything and say what would be made',
    group: 'Update:',
  }),
}

/** Defines `snap update-meta`. */
export function defineUpdateMeta(program: Command, context: CliContext): void {
  const command = program
    .command('update-meta')
    .description("make a backup's databases on a server, empty, and print the map of shard ids")
    .argument('[SOURCE]', 'a directory with sets of snap or influxd, or a legacy backup')
  addConnectionOptions(command)
  addSelectionOptions(command)
  addRenameOptions(command)
  addSettings(command, OPTIONS)
  addStoreOptions(command)
  addLockOptions(command)
  addIdentityOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { updateMeta } = await import('../../operations/update-meta.ts')
      const { openServer } = await import('../../operations/server.ts')
      const { set, ...renames } = readRenameOptions(command)
      const target = readHostPlace(command, context)
      const selection = readSelectionOptions(command)
      const dryRun = OPTIONS.dryRun.read(command)
      const where = { context, run, location: source, use: dryRun ? 'look' : 'read' } as const
      return await withOpenedStore(command, where, async (place) => {
        const server = await openServer(target)
        const made = await updateMeta({ ...place, server, set, renames, selection, dryRun })
        return dryRun ? planReport(made, server.name) : report(made)
      })
    }),
  )
}

function report({ set, databases, shardIds }: UpdatedMeta): CommandResult {
  const inOrder = [...shardIds].sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = inOrder.map(([from, to]) => `${from} ${to}`)
  const document = { set: set ?? null, dryRun: false, databases, shards: shardIds }
  return { document, text: lines.join('\n') }
}

function planReport({ set, databases, planned, shardIds }: UpdatedMeta, to: string): CommandResult {
  const names = databases.map((name) =>
    name.from === name.to ? name.from : `${name.from} as ${name.to}`,
  )
  const lines = [
    `would make ${names.join(', ')}: ${formatNumberOf(planned.length, 'shard')}, empty, on ${to}`,
    ...planned.map((shard) => `  shard ${formatShard(shard)}`),
  ]
  return {
    document: { set: set ?? null, dryRun: true, databases, shards: shardIds, planned },
    summary: lines.map(printable).join('\n'),
  }
}
