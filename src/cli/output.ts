import { inspect } from 'node:util'
import { type ErrorCode, errnoOf, messageOf, SnapError } from '../errors.ts'
import type { CliContext, TextStream } from './context.ts'
import { printable } from './format.ts'
import { DEFAULT_HINTS } from './hints.ts'
import { parseSwitch } from './options.ts'
import { wrapFor, wrapLinesFor } from './wrap.ts'

/** How a run speaks. */
export interface OutputMode {
  /** One JSON document on stdout, errors as a line of JSON. */
  readonly json: boolean
  /** Nothing but errors and what was asked for. */
  readonly quiet: boolean
  /** Stacks with errors. */
  readonly debug: boolean
  /** Colours on stderr. */
  readonly color: boolean
}

/** What a command hands back when it has done its work. */
export interface CommandResult {
  /** The fields of the JSON document besides `schema`, `ok` and `error`. */
  readonly document: Readonly<Record<string, unknown>>
  /** What was asked for, for people: a list, a map. Printed even by `--quiet`. */
  readonly text?: string | undefined
  /** The text is for programs: it is never wrapped. */
  readonly verbatim?: boolean | undefined
  /** What was done, for people. Not printed by `--quiet`. */
  readonly summary?: string | undefined
  /** Why a finished command does not end with 0: incomplete, different, at risk. */
  readonly problem?: SnapError | undefined
}

/** Tells if colours may be written to `stream`. */
export function colorAllowed(stream: TextStream, env: CliContext['env']): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

/** Guesses the mode from the bare words, for errors that come before the words are understood. */
export function earlyOutputMode({ argv, env, stderr }: CliContext): OutputMode {
  const end = argv.indexOf('--')
  const words = new Set(end === -1 ? argv : argv.slice(0, end))
  const given = (flag: string, variable: string) => words.has(flag) || truthy(env[variable])
  return {
    json: given('--json', 'INFLUX_SNAP_JSON'),
    quiet: given('--quiet', 'INFLUX_SNAP_QUIET'),
    debug: given('--debug', 'INFLUX_SNAP_DEBUG'),
    color: colorAllowed(stderr, env) && !given('--no-color', 'INFLUX_SNAP_NO_COLOR'),
  }
}

function truthy(text: string | undefined): boolean {
  try {
    return text !== undefined && parseSwitch(text, '')
  } catch {
    return false
  }
}

/**
 * Writes JSON on one line. Numbers of 64 bits (`bigint`) become decimal text, since most readers of JSON round them;
 * maps become objects.
 */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return item.toString()
    return item instanceof Map ? Object.fromEntries(item) : item
  })
}

/**
 * Writes text and waits until it has left the process. A reader that went away is no error.
 *
 * @throws SnapError `E_DESTINATION` for any other failure, a full disk behind a redirection for one
 */
export async function writeText(stream: TextStream, text: string): Promise<void> {
  const error = await new Promise<unknown>((resolve) => void stream.write(text, resolve))
  if (error === undefined || error === null) return
  if (stream.destroyed && errnoOf(error) === 'ERR_STREAM_DESTROYED') return
  const failure = writeFailure(error)
  if (failure !== undefined) throw failure
}

/** Returns the error of a result that could not be written; undefined if only its reader went away. */
export function writeFailure(error: unknown): SnapError | undefined {
  if (errnoOf(error) === 'EPIPE') return undefined
  return new SnapError('E_DESTINATION', `writing the result failed: ${messageOf(error)}`, {
    cause: error,
  })
}

/** The fields every rendering of an error has. */
function errorFields(error: SnapError) {
  const { code, exitCode, message } = error
  return { code, exitCode, message, hint: error.hint ?? DEFAULT_HINTS[reasonOf(error)] }
}

const WIRE: ReadonlySet<ErrorCode> = new Set(['E_CONNECT', 'E_CUT', 'E_PROTOCOL', 'E_TIMEOUT'])

/** A destination that was not reached, or lost on the way, has nothing to do with space and permissions. */
function reasonOf({ code, cause }: SnapError): ErrorCode {
  const isFar = code === 'E_DESTINATION' && cause instanceof SnapError && WIRE.has(cause.code)
  return isFar ? cause.code : code
}

/** Writes the document of a command that failed. Never throws: that it failed is what stderr is about to say. */
export async function writeFailedDocument(
  stdout: TextStream,
  commandName: string,
  error: SnapError,
): Promise<void> {
  await writeText(stdout, `${failedDocument(commandName, error)}\n`).catch(() => {})
}

/** Returns the JSON document of a command that failed. */
export function failedDocument(commandName: string, error: SnapError): string {
  const schema = `snap/${commandName}/1`
  return formatJson({ schema, ok: false, error: errorFields(error) })
}

/** Returns the JSON document of what a command did. */
export function resultDocument(
  commandName: string,
  { document, problem }: Pick<CommandResult, 'document' | 'problem'>,
): string {
  const schema = `snap/${commandName}/1`
  const error = problem === undefined ? undefined : errorFields(problem)
  return formatJson({ schema, ok: problem === undefined, ...document, error })
}

/** Writes what a command did. Why it does not end with 0, where that is so, is for {@link writeError} to say. */
export async function writeResult(
  context: CliContext,
  mode: OutputMode,
  result: CommandResult & { readonly commandName: string; readonly summaryTo: TextStream },
): Promise<void> {
  const { text, verbatim, summary, summaryTo } = result
  const shown = (stream: TextStream, lines: string) => endLine(wrapLinesFor(stream, lines))
  if (mode.json) {
    await writeText(context.stdout, `${resultDocument(result.commandName, result)}\n`)
  } else {
    if (text !== undefined && text !== '')
      await writeText(context.stdout, verbatim ? endLine(text) : shown(context.stdout, text))
    if (summary !== undefined && !mode.quiet) await writeText(summaryTo, shown(summaryTo, summary))
  }
}

function endLine(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}

/** Writes an error as the last thing on stderr: one line of JSON, or two lines for people. Never throws. */
export async function writeError(
  stderr: TextStream,
  mode: OutputMode,
  error: SnapError,
): Promise<void> {
  const stack = mode.debug ? `${inspect(error, { depth: 4 })}\n` : ''
  const fields = errorFields(error)
  const text = mode.json
    ? `${formatJson({ schema: 'snap/error/1', ...fields })}\n`
    : await formatError(fields, { stderr, color: mode.color })
  await writeText(stderr, stack + text).catch(() => {})
}

async function formatError(
  { code, message, hint: advice }: ReturnType<typeof errorFields>,
  { stderr, color }: { readonly stderr: TextStream; readonly color: boolean },
) {
  let label = 'error:'
  let hint = 'hint:'
  const wrapped = (prefix: string, text: string) =>
    wrapFor(stderr, `${prefix} ${text}`).slice(prefix.length)
  const said = wrapped(label, `${printable(message)} (${code})`)
  const advised = wrapped(hint, printable(advice))
  if (color) {
    const { Chalk } = await import('chalk')
    const chalk = new Chalk({ level: 1 })
    label = chalk.red.bold(label)
    hint = chalk.cyan(hint)
  }
  return `${label}${said}\n${hint}${advised}\n`
}
