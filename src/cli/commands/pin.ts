import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { CliContext } from '../context.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings, valueSetting } from '../options.ts'
import { placeOf, type Run, runCommand } from '../run.ts'
import { LATEST, parseSet } from '../set-option.ts'
import { addLockOptions, addStoreOptions, withStore } from '../store-options.ts'
import { parseText } from '../values.ts'

const OPTIONS = {
  reason: valueSetting({
    flags: '--reason <text>',
    description: 'why, for those who see it later',
    parse: parseText,
    group: 'Pin:',
  }),
}

/** Defines `snap pin`. */
export function definePin(program: Command, context: CliContext): void {
  const command = declare(program, 'pin', 'protect sets from prune')
  addSettings(command, OPTIONS)
  finish(command, context, async (place, sets) => {
    const { pin } = await import('../../operations/pin.ts')
    return await pin({ ...place, sets, reason: OPTIONS.reason.read(command) })
  })
}

/** Defines `snap unpin`. */
export function defineUnpin(program: Command, context: CliContext): void {
  const command = declare(program, 'unpin', 'let prune treat sets by its rules again')
  finish(command, context, async (place, sets) => {
    const { unpin } = await import('../../operations/pin.ts')
    return await unpin({ ...place, sets })
  })
}

function declare(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument('[SOURCE]', 'a directory or s3://bucket/prefix; not with --target')
    .argument('[SET...]', 'names of sets, or their beginnings, latest, or the newest at a time')
}

type Work = (
  place: Parameters<Parameters<typeof withStore>[2]>[0],
  sets: readonly (string | Date | undefined)[],
) => Promise<readonly string[]>

function finish(command: Command, context: CliContext, work: Work): void {
  addStoreOptions(command)
  addLockOptions(command)
  addGeneralOptions(command)
  command.action((first: string | undefined, others: readonly string[]) =>
    runCommand(context, command, async (run) => {
      const { source, words } = split(run, first, others)
      const sets = words
        .map((word) => parseSet(word, 'SET'))
        .map((set) => (set === LATEST ? undefined : set))
      return await withStore(command, { run, location: source, use: 'write' }, async (place) => {
        const names = await work(place, sets)
        const summary = names.map((name) => `${command.name()}ned ${name}`).join('\n')
        return { document: { source, sets: names }, summary }
      })
    }),
  )
}

/** With `--target`, all words are sets. */
function split(run: Run, first: string | undefined, others: readonly string[]) {
  const isNamed = run.location !== undefined
  const value = isNamed ? undefined : first
  const source = placeOf(run, { name: 'SOURCE', value })
  const words = [...(isNamed && first !== undefined ? [first] : []), ...others]
  if (words.length > 0) return { source, words }
  throw new SnapError('E_USAGE', 'missing SET', { hint: '`snap list` shows the sets of a target' })
}
