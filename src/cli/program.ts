import { Command, CommanderError } from 'commander'
import type { SnapError } from '../errors.ts'
import { defineBackup } from './commands/backup.ts'
import { defineCheck } from './commands/check.ts'
import { defineCompletion } from './commands/completion.ts'
import { defineCopy } from './commands/copy.ts'
import { defineDiff } from './commands/diff.ts'
import { defineDrill } from './commands/drill.ts'
import { defineExport } from './commands/export.ts'
import { defineInfo } from './commands/info.ts'
import { defineList } from './commands/list.ts'
import { definePin, defineUnpin } from './commands/pin.ts'
import { definePrune } from './commands/prune.ts'
import { defineReport } from './commands/report.ts'
import { defineRestore } from './commands/restore.ts'
import { defineServe } from './commands/serve.ts'
import { defineUpdateMeta } from './commands/update-meta.ts'
import { defineUploadShard } from './commands/upload-shard.ts'
import { defineVerify } from './commands/verify.ts'
import { defineVersion } from './commands/version.ts'
import type { CliContext, TextStream } from './context.ts'
import type { FlagLookup } from './go-flags.ts'
import { normalizeGoFlags } from './go-flags.ts'
import { earlyOutputMode, writeError, writeFailedDocument, writeFailure } from './output.ts'
import { readPackageInfo } from './package-info.ts'
import { unexpected } from './stop.ts'
import { findCommand, refuseUnknownHelp, usageError, wasAskedFor, withHelpHint } from './usage.ts'

/** Every command, in the order the help shows them. Each declares its options and loads its work when it runs. */
const DEFINITIONS: readonly ((program: Command, context: CliContext) => void)[] = [
  defineServe,
  defineBackup,
  defineExport,
  defineRestore,
  defineVerify,
  defineDiff,
  defineDrill,
  defineCheck,
  defineList,
  defineInfo,
  definePin,
  defineUnpin,
  definePrune,
  defineReport,
  defineCopy,
  defineUpdateMeta,
  defineUploadShard,
  defineCompletion,
  defineVersion,
]

const AFTER_HELP = `
Every option can also be set as INFLUX_SNAP_<OPTION> or in the file of --config.
The flags of influxd backup and restore work as they are: -portable -db NAME ...
Exit codes, JSON and settings: docs/scripting.md`

/** Builds the program. Commander writes only help and version by itself, and never ends the process. */
export function buildProgram(context: CliContext): Command {
  const { stdout, stderr } = context
  const program = new Command('snap')
    .optionsGroup('General:')
    .description('Back up, restore and prove backups of InfluxDB 1.x')
    .version(readPackageInfo().version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .enablePositionalOptions()
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: () => {},
      getOutHelpWidth: () => stdout.columns || 80,
      getErrHelpWidth: () => stderr.columns || 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', AFTER_HELP)
  for (const define of DEFINITIONS) define(program, context)
  return program
}

/** Tells what a command says of a flag, for the words of influxd. */
function flagLookup(command: Command): FlagLookup {
  return (flag) => {
    const option = command.options.find(({ long, short }) => long === flag || short === flag)
    if (option === undefined) return undefined
    return option.required || option.optional ? 'value' : 'switch'
  }
}

function normalizeWords(program: Command, words: readonly string[]): string[] {
  const [name, ...rest] = words
  const command = findCommand(program, name)
  if (name === undefined) return []
  if (command === undefined) return name === '-help' ? ['--help', ...rest] : [...words]
  return [name, ...normalizeGoFlags(rest, flagLookup(command))]
}

function errorOf(thrown: unknown, program: Command, words: readonly string[]): SnapError {
  if (thrown instanceof CommanderError) return usageError(thrown, program, words)
  return withHelpHint(unexpected(thrown), findCommand(program, words[0]))
}

/** Help is written by commander, which does not look what becomes of it. */
async function writingFailed(
  stdout: TextStream,
  failures: readonly unknown[],
): Promise<SnapError | undefined> {
  await new Promise<void>((resolve) => void stdout.write('', () => resolve()))
  return failures.map(writeFailure).find((failure) => failure !== undefined)
}

/** Runs one command line from its words to its exit code. Never throws. */
export async function runCli(context: CliContext, program = buildProgram(context)): Promise<void> {
  // A reader that went away tells its story through the write; without a listener it would end the process.
  const failures: unknown[] = []
  context.stdout.on('error', (error) => failures.push(error))
  context.stderr.on('error', () => {})
  try {
    refuseUnknownHelp(program, context.argv)
    await program.parseAsync(normalizeWords(program, context.argv), { from: 'user' })
  } catch (thrown) {
    const mode = earlyOutputMode(context)
    const command = findCommand(program, context.argv[0])
    const isShown = thrown instanceof CommanderError && wasAskedFor(thrown)
    const error = isShown
      ? await writingFailed(context.stdout, failures)
      : errorOf(thrown, program, context.argv)
    if (error === undefined) {
      context.setExitCode(0)
      return
    }
    context.setExitCode(error.exitCode)
    if (mode.json && command !== undefined)
      await writeFailedDocument(context.stdout, command.name(), error)
    await writeError(context.stderr, mode, error)
  }
}
