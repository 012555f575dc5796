import { resolve } from 'node:path'
import type { Command } from 'commander'
import { messageOf, SnapError } from '../errors.ts'
import type { EndedRun, TargetFigures } from '../operations/run-figures.ts'
import type { CliContext } from './context.ts'
import { formatBytes, formatDuration, printable } from './format.ts'
import { failedDocument, type OutputMode, resultDocument } from './output.ts'
import { readPackageInfo } from './package-info.ts'
import { openStoreAt } from './store-options.ts'
import { IN_HOOK, readWatchOptions, type WatchOptions } from './watch-options.ts'

/** How a run ended. */
export interface RunEnd {
  /** The fields of the result; undefined if there is none. */
  readonly document?: Readonly<Record<string, unknown>> | undefined
  /** Undefined: exit code 0. */
  readonly error?: SnapError | undefined
}

/** What is known of a run before it begins. */
export interface RunPlan {
  readonly context: CliContext
  readonly command: Command
  readonly mode: OutputMode
  /** The location of the named target. */
  readonly location: string | undefined
  readonly signal: AbortSignal
}

/** How long the target may be listed for figures, in ms. */
const LIST_DEADLINE = 30_000

/**
 * A run that others hear of: hooks, a heartbeat, a webhook, a file of figures. Only the hook before it can change how it ends.
 * What goes wrong with the others is a warning.
 */
export class WatchedRun {
  readonly #plan: RunPlan
  readonly #options: WatchOptions
  readonly #begun = Date.now()
  readonly #over = new AbortController()
  #started: Promise<void> | undefined

  constructor(plan: RunPlan, options: WatchOptions) {
    this.#plan = plan
    this.#options = options
  }

  /**
   * Sends the first heartbeat, which is not waited for, and runs the hook before.
   * @throws SnapError `E_FAILED` if the hook fails
   */
  async begin(): Promise<void> {
    const { hookBefore } = this.#options
    this.#started = this.#orWarn(this.#ping('start', ''))
    if (hookBefore !== undefined) await this.#runHook('hook-before', hookBefore, {})
  }

  /** Tells everybody how the run ended. Never throws. */
  async end(end: RunEnd): Promise<void> {
    const durationMs = Date.now() - this.#begun
    this.#over.abort()
    await this.#writeFigures(end, durationMs)
    await Promise.all([
      this.#orWarn(this.#endHeartbeat(end, durationMs)),
      this.#orWarn(this.#post(end)),
      this.#runHookAfter(end, durationMs),
    ])
  }

  /** Where the run works: what stands last on the line, or the location of its target. */
  get #place(): string | undefined {
    return this.#plan.command.args.at(-1) ?? this.#plan.location
  }

  get #target(): string {
    const named: unknown = this.#plan.command.getOptionValue('target')
    if (typeof named === 'string') return named
    const place = this.#place ?? ''
    return place === '' || place.includes('://') ? place : resolve(place)
  }

  async #runHook(name: string, script: string, more: Record<string, string>): Promise<void> {
    const { context, command, signal } = this.#plan
    const { runHook } = await import('../operations/hook.ts')
    const env = {
      ...context.env,
      [IN_HOOK]: command.name(),
      INFLUX_SNAP_RUN_TARGET: this.#target,
      INFLUX_SNAP_RUN_LOCATION: this.#place ?? '',
      ...more,
    }
    let last = ''
    const onLine = (line: string) => {
      last = line
      this.#say(`${name}: ${line}`)
    }
    const timeout = this.#options.hookTimeout
    // A run that was interrupted is over, and its last hook has its own time.
    const stop = name === 'hook-after' && signal.aborted ? undefined : signal
    try {
      await runHook({ script, env, timeout, onLine, signal: stop })
    } catch (error) {
      if (stop?.aborted) throw stop.reason
      const said = last === '' ? '' : `; it said: ${last}`
      throw new SnapError('E_FAILED', `${name}: ${messageOf(error)}${said}`, {
        hint: 'nothing was done: put right what the hook says, or leave it out',
      })
    }
  }

  async #runHookAfter(end: RunEnd, durationMs: number): Promise<void> {
    const { hookAfter } = this.#options
    if (hookAfter === undefined) return
    const { document = {}, error } = end
    const more = {
      INFLUX_SNAP_RUN_RESULT: error === undefined ? 'ok' : error.code,
      INFLUX_SNAP_RUN_EXIT_CODE: String(error?.exitCode ?? 0),
      INFLUX_SNAP_RUN_ERROR: error?.message ?? '',
      INFLUX_SNAP_RUN_SET: textOf(document['set']),
      INFLUX_SNAP_RUN_BYTES: textOf(document['bytes']),
      INFLUX_SNAP_RUN_DURATION_MS: String(durationMs),
    }
    await this.#orWarn(this.#runHook('hook-after', hookAfter, more))
  }

  async #ping(part: 'start' | 'fail' | undefined, body: string): Promise<void> {
    const { heartbeat } = this.#options
    if (heartbeat === undefined) return
    const { announce, withPath } = await import('../client/announce.ts')
    const problem = await announce({
      url: part === undefined ? heartbeat : withPath(heartbeat, part),
      body,
      contentType: 'text/plain; charset=utf-8',
      userAgent: userAgent(),
      enough: part === 'start' ? this.#over.signal : undefined,
    })
    if (problem !== undefined) this.#warn(`the heartbeat did not get through: ${problem}`)
  }

  async #endHeartbeat({ document, error }: RunEnd, durationMs: number): Promise<void> {
    // A start that came after the end would look like a run that hangs.
    await this.#started
    if (error !== undefined) {
      await this.#ping('fail', `exit ${error.exitCode}: ${error.message} (${error.code})\n`)
      return
    }
    const bytes = document?.['bytes']
    const size = typeof bytes === 'number' ? `, ${formatBytes(bytes)}` : ''
    await this.#ping(undefined, `exit 0 after ${formatDuration(durationMs)}${size}\n`)
  }

  async #post({ document, error }: RunEnd): Promise<void> {
    const { webhook } = this.#options
    if (webhook === undefined) return
    const name = this.#plan.command.name()
    const { announce } = await import('../client/announce.ts')
    const body =
      document === undefined && error !== undefined
        ? failedDocument(name, error)
        : resultDocument(name, { document: document ?? {}, problem: error })
    const contentType = 'application/json'
    const problem = await announce({ url: webhook, body, contentType, userAgent: userAgent() })
    if (problem !== undefined) this.#warn(`the webhook did not get through: ${problem}`)
  }

  async #writeFigures({ document, error }: RunEnd, durationMs: number): Promise<void> {
    const { metricsFile } = this.#options
    if (metricsFile === undefined) return
    const bytes = document?.['bytes']
    const run: EndedRun = {
      command: this.#plan.command.name(),
      target: this.#target,
      ended: new Date(),
      durationMs,
      exitCode: error?.exitCode ?? 0,
      bytes: typeof bytes === 'number' ? bytes : undefined,
    }
    const { writeRunFigures } = await import('../operations/run-figures.ts')
    await this.#orWarn(writeRunFigures(metricsFile, run, await this.#targetFigures()))
  }

  async #targetFigures(): Promise<TargetFigures | undefined> {
    const place = this.#place
    if (place === undefined || place === '') return undefined
    const { readTargetFigures } = await import('../operations/run-figures.ts')
    try {
      const store = await openStoreAt(this.#plan.command, place)
      return await readTargetFigures(store, AbortSignal.timeout(LIST_DEADLINE))
    } catch {
      // Whatever is wrong with the target, the run itself has said it.
      return undefined
    }
  }

  async #orWarn(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.#warn(messageOf(error))
    }
  }

  #warn(message: string): void {
    this.#say(`warning: ${message}`)
  }

  #say(line: string): void {
    const { context, mode } = this.#plan
    if (!mode.quiet) context.stderr.write(`${printable(line)}\n`)
  }
}

/**
 * Returns the run as others are to hear of it; undefined if nobody is, or if it is a dry run.
 * @throws SnapError `E_USAGE` for options that cannot be used
 */
export async function watchRun(plan: RunPlan): Promise<WatchedRun | undefined> {
  const { command, context } = plan
  const isThere = command.options.some((option) => option.name() === 'hook-before')
  if (!isThere || isDry(command)) return undefined
  const options = await readWatchOptions(command, context.env)
  return options && new WatchedRun(plan, options)
}

/** What says what it would do has done nothing that anybody should hear of. */
function isDry(command: Command): boolean {
  const asks = command.options.some((option) => option.name() === 'confirm')
  return command.getOptionValue('dryRun') === true || (asks && !command.getOptionValue('confirm'))
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function userAgent(): string {
  const { name, version } = readPackageInfo()
  return `${name}/${version}`
}
