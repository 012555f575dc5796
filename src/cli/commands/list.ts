import type { Command } from 'commander'
import type { SetSummary } from '../../operations/list.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { placeOf, runCommand } from '../run.ts'
import { kindOf, setDocument, stateOf } from '../set-state.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'
import { type Column, tableLines } from '../table.ts'

const COLUMNS: readonly Column[] = [
  { title: 'set' },
  { title: 'kind' },
  { title: 'shards', align: 'right' },
  { title: 'size', align: 'right' },
  { title: 'stored', align: 'right' },
  { title: 'state' },
  { title: 'databases' },
]

/** Defines `snap list`. */
export function defineList(program: Command, context: CliContext): void {
  const command = program
    .command('list')
    .description('list the sets of a target, newest first')
    .argument('[SOURCE]', 'a directory or s3://bucket/prefix with sets of snap or influxd')
  addStoreOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { list } = await import('../../operations/list.ts')
      const sets = await list(await openStoreAt(command, source), run.signal)
      const width = context.stdout.isTTY ? context.stdout.columns || 80 : undefined
      const lines = tableLines(COLUMNS, sets.map(rowOf)).map((line) => cut(line, width))
      const problems = sets.flatMap(({ set, problem }) =>
        problem === undefined ? [] : [`${set}: ${printable(problem)}`],
      )
      const text = [...lines, ...problems].join('\n')
      return { document: { source, sets: sets.map(setDocument) }, text }
    }),
  )
}

function rowOf(set: SetSummary): string[] {
  const { databases, shards, bytes, stored } = set
  return [
    set.set,
    kindOf(set),
    formatCount(shards),
    formatBytes(bytes),
    formatBytes(stored),
    stateOf(set),
    databases.join(', '),
  ].map(printable)
}

/** Cuts a line to the width of a terminal. */
function cut(line: string, width: number | undefined): string {
  return width === undefined || line.length <= width ? line : `${line.slice(0, width - 1)}…`
}
