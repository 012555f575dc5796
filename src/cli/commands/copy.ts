import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { CopiedSet } from '../../operations/copy.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addEncryptionOptions, readRecipients, withOpenedStore } from '../key-options.ts'
import { addSettings, listSetting, switchSetting, valueSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import type { Run } from '../run.ts'
import { runCommand } from '../run.ts'
import { parseSet } from '../set-option.ts'
import { addLockOptions, addTargetOptions, withStore } from '../store-options.ts'
import { parseRate, parseUrl, wholeNumber } from '../values.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Copy:'
const OPTIONS = {
  sets: listSetting({
    flags: '--set <set>',
    description:
      'only this set, and what it needs: a name, latest, or a time (may be given again; default: all)',
    parse: parseSet,
    group: GROUP,
  }),
  jobs: valueSetting({
    flags: '--jobs <n>',
    description: 'files at a time',
    parse: wholeNumber(1, 64),
    fallback: '4',
    group: GROUP,
  }),
  limitRate: valueSetting({
    flags: '--limit-rate <rate>',
    description: 'bytes per second, all files together (10MiB/s)',
    parse: parseRate,
    group: GROUP,
  }),
  sourceEndpoint: valueSetting({
    flags: '--source-s3-endpoint <url>',
    description: 'the store that an s3:// SOURCE is in, if it is another one than that of TARGET',
    parse: parseUrl,
    group: GROUP,
  }),
  decrypt: switchSetting({
    flags: '--decrypt',
    description: 'store what is in encrypted sets in the clear, as the keys of --identity open it',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'say what would be copied',
    group: GROUP,
  }),
}

/** Defines `snap copy`. */
export function defineCopy(program: Command, context: CliContext): void {
  const command = program
    .command('copy')
    .description('copy sets into another target, every byte checked on the way')
    .argument('[SOURCE]', 'a directory or s3://bucket/prefix with sets')
    .argument('[TARGET]', 'a directory or s3://bucket/prefix, made if it is not there')
  addSettings(command, OPTIONS)
  addTargetOptions(command)
  addLockOptions(command)
  addWatchOptions(command)
  addEncryptionOptions(command)
  addGeneralOptions(command)
  command.action((first: string | undefined, second: string | undefined) =>
    runCommand(context, command, async (run) => {
      const { source, target } = placesOf(run, first, second)
      const { copy } = await import('../../operations/copy.ts')
      const s3Endpoint = OPTIONS.sourceEndpoint.read(command)
      const dryRun = OPTIONS.dryRun.read(command)
      const recipients = await readRecipients(command)
      const options = {
        recipients,
        ...{ sets: OPTIONS.sets.read(command), jobs: OPTIONS.jobs.read(command) },
        ...{ limitRate: OPTIONS.limitRate.read(command), dryRun, progress: run.progress },
      }
      const from = { location: source, use: dryRun ? 'look' : 'read', s3Endpoint } as const
      const to = { location: target, use: dryRun ? 'look' : 'write' } as const
      const opens = recipients !== undefined || OPTIONS.decrypt.read(command)
      const withSource = opens ? withOpenedStore : withStore
      const sets = await withSource(command, { context, run, ...from }, ({ store, signal }) =>
        withStore(command, { run: { ...run, signal }, ...to }, (place) =>
          copy({ ...options, source: store, target: place.store, signal: place.signal }),
        ),
      )
      return report(sets, { source, target, dryRun })
    }),
  )
}

/** The place of `--target` is the SOURCE; the word that is left is the TARGET then. */
function placesOf({ location }: Run, first: string | undefined, second: string | undefined) {
  const [source, target, ...more] = [location, first, second].filter((word) => word !== undefined)
  if (source && target && more.length === 0) return { source, target }
  if (more.length > 0) {
    throw new SnapError('E_USAGE', `SOURCE is given twice: ${location} and ${first}`, {
      hint: '--target brings the SOURCE',
    })
  }
  throw new SnapError('E_USAGE', `missing ${source ? 'TARGET' : 'SOURCE'}`, {
    hint: 'give SOURCE and TARGET, or --target with a location in the --config file for SOURCE',
  })
}

interface Request {
  readonly source: string
  readonly target: string
  readonly dryRun: boolean
}

function report(sets: readonly CopiedSet[], request: Request): CommandResult {
  const { source, target, dryRun } = request
  const moved = sets.filter(({ action }) => action === 'copied' || action === 'copy')
  const bytes = moved.reduce((sum, set) => sum + set.bytes, 0)
  const rows = sets.filter(({ action }) => action !== 'there').map(rowOf)
  const there = sets.filter(({ action }) => action === 'there').length
  const what = `${formatNumberOf(moved.length, 'set')}, ${formatBytes(bytes)}`
  const rest = there > 0 ? `; ${formatNumberOf(there, 'set')} there already` : ''
  const end = `${dryRun ? 'would copy' : 'copied'} ${what} to ${target}${rest}`
  const text = [...rows, end].map(printable).join('\n')
  const problem = problemOf(sets, source)
  const document = { source, target, dryRun, sets, bytes }
  return {
    document,
    ...(dryRun ? { text } : { summary: text }),
    ...(problem && { problem }),
  }
}

function rowOf({ set, action, files, bytes, reused, problem }: CopiedSet): string {
  if (problem !== undefined) return `${set}  damaged  ${problem}`
  const what = `${formatNumberOf(files, 'file')}, ${formatBytes(bytes)}`
  const saved = reused.files > 0 ? `; ${formatBytes(reused.bytes)} there already` : ''
  return `${set}  ${action.padEnd(7)}  ${what}${saved}`
}

function problemOf(sets: readonly CopiedSet[], source: string): SnapError | undefined {
  const damaged = sets.filter(({ action }) => action === 'damaged')
  const [first] = damaged
  if (first === undefined) return undefined
  const count = formatNumberOf(damaged.length, 'set')
  const message = `${source}: ${count} could not be copied: set ${first.set}: ${first.problem}`
  return new SnapError('E_INTEGRITY', message)
}
