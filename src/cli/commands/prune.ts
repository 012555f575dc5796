import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { Pruned, PrunedSet } from '../../operations/prune.ts'
import type { KeepReason } from '../../operations/prune-plan.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addKeepOptions, readKeepOptions } from '../keep-options.ts'
import { addSettings, listSetting, switchSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { placeOf, runCommand } from '../run.ts'
import { addLockOptions, addStoreOptions, withStore } from '../store-options.ts'
import { parseText } from '../values.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Prune:'
const OPTIONS = {
  databases: listSetting({
    flags: '--db <name>',
    description:
      'only sets that hold nothing but this database, or those that match tele* (may be given again)',
    parse: parseText,
    group: GROUP,
  }),
  includeStock: switchSetting({
    flags: '--include-stock',
    description: 'sets of influxd too',
    group: GROUP,
  }),
  confirm: switchSetting({
    flags: '--confirm',
    description: 'delete; without it, what would be deleted is only shown',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'only show what would be deleted, also where --confirm is set',
    group: GROUP,
  }),
}

/** Defines `snap prune`. */
export function definePrune(program: Command, context: CliContext): void {
  const command = program
    .command('prune')
    .description('remove the sets that no rule keeps, and what only they need')
    .argument('[SOURCE]', 'a directory or s3://bucket/prefix with sets')
  addKeepOptions(command)
  addSettings(command, OPTIONS)
  addStoreOptions(command)
  addLockOptions(command)
  addWatchOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const confirm = OPTIONS.confirm.read(command) && !OPTIONS.dryRun.read(command)
      const { prune } = await import('../../operations/prune.ts')
      const use = confirm ? 'delete' : 'look'
      return await withStore(command, { run, location: source, use }, async (place) => {
        const result = await prune({
          ...{ ...place, confirm, now: new Date() },
          ...readKeepOptions(command),
          databases: OPTIONS.databases.read(command),
          includeStock: OPTIONS.includeStock.read(command),
        })
        return report(result, { source, confirm })
      })
    }),
  )
}

interface Request {
  readonly source: string
  readonly confirm: boolean
}

function report(result: Pruned, request: Request): CommandResult {
  const { source, confirm } = request
  const document = { source, confirmed: confirm, ...result }
  const text = [
    ...result.sets.map((set) => rowOf(set, result)),
    ...notesOf(result),
    ...result.failures.map(({ message }) => `not deleted: ${message}`),
    endOf(result, request),
  ]
    .map(printable)
    .join('\n')
  const problem = problemOf(result, source)
  return { document, ...(confirm ? { summary: text } : { text }), ...(problem && { problem }) }
}

function rowOf({ set, action, reasons, databases }: PrunedSet, { failures }: Pruned): string {
  const why = reasons.map((reason) => reasonText(reason, databases.length))
  const isStuck = failures.some(({ file }) => file.startsWith(`${set}.`))
  if (why.length === 0 && isStuck) why.push('not all of it could be deleted')
  return `${set}  ${action.padEnd(6)}  ${why.join(', ')}`.trimEnd()
}

/** @param all how many databases the set holds */
function reasonText({ rule, databases = [], by, until }: KeepReason, all: number): string {
  if (rule === 'needed') return `needed by ${by}`
  if (rule === 'locked') return `locked until ${until?.toISOString()}`
  if (rule === 'stock') return 'made by influxd'
  if (rule === 'other-databases') return 'holds other databases'
  const isForAll = databases.length >= all || databases.length === 0
  return isForAll ? rule : `${rule} (${databases.join(', ')})`
}

function notesOf({ finished, unfinished, strays }: Pruned): string[] {
  return [
    ...finished.map((set) => `an earlier prune began to remove set ${set}`),
    ...unfinished.map((set) => `set ${set} is not finished`),
    ...(strays.files > 0
      ? [
          `${formatNumberOf(strays.files, 'file')}, ${formatBytes(strays.bytes)}, of sets without a manifest; \`snap verify\` names them`,
        ]
      : []),
  ]
}

function endOf({ sets, freed }: Pruned, { source, confirm }: Request): string {
  const removed = sets.filter(({ action }) => action === 'remove').length
  const what = `${removed} of ${formatNumberOf(sets.length, 'set')} in ${source}`
  const size = `${formatNumberOf(freed.files, 'file')}, ${formatBytes(freed.bytes)}`
  if (confirm) return `removed ${what}: ${size}`
  return `would remove ${what}: ${size}${freed.files > 0 ? '; --confirm does it' : ''}`
}

function problemOf({ failures }: Pruned, source: string): SnapError | undefined {
  const [first] = failures
  if (first === undefined) return undefined
  const count = formatNumberOf(failures.length, 'file')
  return new SnapError(
    'E_DESTINATION',
    `${source}: ${count} could not be deleted: ${first.message}`,
    { hint: 'what is left is whole; the next prune goes on where this one could not' },
  )
}
