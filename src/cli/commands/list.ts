import type { Command } from 'commander'
import type { SetSummary } from '../../operations/list.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { placeOf, runCommand } from '../run.ts'
import { type Screen, screenOf } from '../screen.ts'
import { chainText, kindOf, meaningOf, setDocument, stateOf } from '../set-state.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'
import { type Column, tableLines } from '../table.ts'

/** The columns, the last of them as wide as there is room. */
const columnsOn = ({ paint }: Screen): readonly Column[] => [
  { title: 'set' },
  { title: 'kind' },
  { title: 'shards', align: 'right' },
  { title: 'size', align: 'right' },
  { title: 'stored', align: 'right' },
  {
    title: 'state',
    wraps: true,
    paint: (piece, state) => paint(piece, meaningOf(state)),
  },
  { title: 'databases', wraps: true },
]

const NO_MANIFEST =
  'its manifest is gone, so it is no backup any more; bring the manifest back from a copy'

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
      const { sets, headless } = await list(await openStoreAt(command, source), run.signal)
      const screen = await screenOf(command, context)
      const lines = tableLines(columnsOn(screen), sets.map(rowOf), screen.width)
      const problems = sets.flatMap(({ set, problem }) =>
        problem === undefined ? [] : [`${set}: ${screen.paint(printable(problem), 'bad')}`],
      )
      const lost = headless.map((set) => `${set}: ${screen.paint(NO_MANIFEST, 'bad')}`)
      const chained = sets.find(({ chain }) => chain !== undefined)
      const chain = chained ? [`${chained.set}: ${printable(chainText(chained) ?? '')}`] : []
      const text = [...lines, ...problems, ...lost, ...chain].join('\n')
      return { document: { source, sets: sets.map(setDocument), headless }, text }
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
