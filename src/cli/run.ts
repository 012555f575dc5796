import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { Progress } from '../operations/progress.ts'
import type { CliContext, TextStream } from './context.ts'
import { printable } from './format.ts'
import { readOutputMode } from './general-options.ts'
import type { CommandResult, OutputMode } from './output.ts'
import { earlyOutputMode, writeError, writeFailedDocument, writeResult } from './output.ts'
import { createRenderer } from './progress.ts'
import type { Renderer } from './progress-lines.ts'
import { applySettings } from './settings.ts'
import { unexpected, watchForStop } from './stop.ts'
import { withHelpHint } from './usage.ts'
import { unknownVariables } from './variables.ts'
import { type RunEnd, type WatchedRun, watchRun } from './watched-run.ts'

/** What a command's work is given. Options may be read from the command once the work has begun. */
export interface Run {
  /** Aborts when the command shall end: clean up, then throw anything. */
  readonly signal: AbortSignal
  readonly progress: Progress
  /** The TARGET or SOURCE of the target chosen by `--target`. */
  readonly location: string | undefined
  /** For data, where TARGET is `-`. Not to be ended. */
  readonly stdout: TextStream
}

/** TARGET or SOURCE as the one word for the process's own output. */
const STDOUT = '-'

/**
 * Runs the work of a command and shows how it ended: the result on stdout, an error on stderr, the exit code in the
 * context. Never throws.
 *
 * @param work loads its operation with `await import()`, so that other commands start without it
 */
export async function runCommand(
  context: CliContext,
  command: Command,
  work: (run: Run) => Promise<CommandResult>,
): Promise<void> {
  let mode = earlyOutputMode(context)
  let renderer: Renderer | undefined
  let watched: WatchedRun | undefined
  let end: RunEnd
  const watch = watchForStop(context, (error) => {
    void fail(context, { command, mode, error }).finally(() => context.exitNow(error.exitCode))
  })
  const { signal } = watch
  try {
    try {
      const location = await applySettings(command, context.env)
      mode = readOutputMode(command, context)
      if (!mode.quiet) warnOfVariables(context, command)
      const toStdout = command.args.includes(STDOUT)
      if (mode.json && toStdout) throw jsonAndData()
      watched = await watchRun({ context, command, mode, location, signal })
      await watched?.begin()
      renderer = createRenderer(context.stderr, mode, context.env)
      const run: Run = { signal, progress: renderer.report, location, stdout: context.stdout }
      const result = await work(run)
      await renderer.stop()
      const summaryTo = toStdout ? context.stderr : context.stdout
      await writeResult(context, mode, { ...result, commandName: command.name(), summaryTo })
      end = { document: result.document, error: result.problem }
    } catch (thrown) {
      await renderer?.stop()
      const error = withHelpHint(unexpected(causeOf(thrown, signal)), command)
      if (mode.json && !watch.readerGone())
        await writeFailedDocument(context.stdout, command.name(), error)
      end = { error }
    }
    context.setExitCode(end.error?.exitCode ?? 0)
    await watched?.end(end)
    const isHeard = end.document !== undefined || !watch.readerGone()
    if (end.error !== undefined && isHeard) await writeError(context.stderr, mode, end.error)
  } finally {
    watch.release()
  }
}

/** A misspelt setting would otherwise count for nothing in silence. */
function warnOfVariables({ env, stderr }: CliContext, command: Command): void {
  for (const warning of unknownVariables(command.parent ?? command, env)) {
    stderr.write(`warning: ${printable(warning)}\n`)
  }
}

/** Whatever a stopped command throws, the reason is why it was stopped; it may have added what to do next. */
function causeOf(thrown: unknown, { aborted, reason }: AbortSignal): unknown {
  if (!aborted) return thrown
  const isReason = thrown instanceof SnapError && thrown.code === reason?.code
  return isReason ? thrown : reason
}

function jsonAndData(): SnapError {
  return new SnapError('E_USAGE', '--json and - cannot both have standard output', {
    hint: 'write the data to a file, or leave --json out',
  })
}

async function fail(
  context: CliContext,
  failure: { readonly command: Command; readonly mode: OutputMode; readonly error: SnapError },
): Promise<void> {
  const { command, mode, error } = failure
  if (mode.json) await writeFailedDocument(context.stdout, command.name(), error)
  await writeError(context.stderr, mode, error)
}

/** An argument, and what the usage calls it: TARGET, SOURCE. */
interface GivenPlace {
  readonly name: string
  readonly value: string | undefined
}

/**
 * Returns the place a command may work on: its argument, or that of the named target; undefined if there is neither.
 * @throws SnapError `E_USAGE` if there are both
 */
export function takenOnce({ location }: Run, { name, value }: GivenPlace): string | undefined {
  if (value !== undefined && location !== undefined) {
    throw new SnapError('E_USAGE', `${name} is given twice: ${value} and ${location}`, {
      hint: '--target brings its own location',
    })
  }
  return value ?? location
}

/**
 * Returns the place a command works on: its argument, or that of the named target.
 * @throws SnapError `E_USAGE` if there is none, or both
 */
export function placeOf(run: Run, given: GivenPlace): string {
  const place = takenOnce(run, given)
  if (place !== undefined && place !== '') return place
  throw new SnapError('E_USAGE', `missing ${given.name}`, {
    hint: `give ${given.name}, or --target with a location in the --config file`,
  })
}
