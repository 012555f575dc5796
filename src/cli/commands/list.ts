import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { placeOf, runCommand } from '../run.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'

/** Defines `snap list`. */
export function defineList(program: Command, context: CliContext): void {
  const command = program
    .command('list')
    .description('list the sets of a target, newest first')
    .argument('[SOURCE]', 'a directory with sets of snap or influxd')
  addStoreOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { list } = await import('../../operations/list.ts')
      const sets = await list(await openStoreAt(command, source), run.signal)
      const rows = sets.map(({ set, kind, shards, databases, bytes, problem, encrypted }) => {
        if (problem !== undefined) return `${set}  ${kind}  damaged: ${problem}`
        const count = formatNumberOf(shards, 'shard')
        return `${set}  ${kind}  ${count}  ${formatBytes(bytes)}  ${databases.join(', ')}${encrypted ? '  encrypted' : ''}`
      })
      return { document: { source, sets }, text: rows.map(printable).join('\n') }
    }),
  )
}
