import { setMaxListeners } from 'node:events'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import type { CliContext, StopSignal } from './context.ts'

/** How long a command may clean up after a crash before the process ends, milliseconds. */
const CRASH_GRACE = 10_000

/** What may end a command from outside, gathered in one abort signal. */
export interface StopWatch {
  /** Aborts with a {@link SnapError} that says why. */
  readonly signal: AbortSignal
  /** True once the reader of stdout has gone away. */
  readonly readerGone: () => boolean
  /** Takes every listener away. */
  readonly release: () => void
}

const STOP_ERRORS = {
  SIGINT: () => new SnapError('E_INTERRUPTED', 'interrupted'),
  SIGTERM: () => new SnapError('E_TERMINATED', 'terminated'),
  SIGHUP: () => new SnapError('E_TERMINATED', 'the terminal was closed'),
} as const satisfies Record<StopSignal, () => SnapError>

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Returns an error nobody foresaw as one of ours. */
export function unexpected(error: unknown): SnapError {
  if (error instanceof SnapError) return error
  return new SnapError('E_FAILED', `unexpected: ${messageOf(error)}`, { cause: error })
}

/**
 * Watches for what ends a command from outside: a first signal aborts, so that the command cleans up; a second one ends
 * the process at once; an error outside every promise aborts and leaves ten seconds; a reader of stdout that went away
 * aborts, quietly.
 *
 * @param onCrash called if the command did not end within those ten seconds
 */
export function watchForStop(context: CliContext, onCrash: (error: SnapError) => void): StopWatch {
  const { signals, stdout } = context
  const controller = new AbortController()
  // Many waits listen at once: several for each of up to 64 shards.
  setMaxListeners(0, controller.signal)
  let readerGone = false
  let grace: NodeJS.Timeout | undefined

  const onSignal = (name: StopSignal) => {
    const error = STOP_ERRORS[name]()
    if (controller.signal.aborted) context.exitNow(error.exitCode)
    else controller.abort(error)
  }
  const listeners = STOP_SIGNALS.map((name) => [name, () => onSignal(name)] as const)
  const crash = (thrown: unknown) => {
    const error = unexpected(thrown)
    controller.abort(error)
    grace ??= setTimeout(() => onCrash(error), CRASH_GRACE)
  }
  const onStdout = (thrown: unknown) => {
    readerGone = errnoOf(thrown) === 'EPIPE'
    const message = `writing to standard output failed: ${messageOf(thrown)}`
    controller.abort(new SnapError('E_DESTINATION', message, { cause: thrown }))
  }

  for (const [name, listener] of listeners) signals.on(name, listener)
  signals.on('uncaughtException', crash)
  stdout.on('error', onStdout)
  const release = () => {
    clearTimeout(grace)
    for (const [name, listener] of listeners) signals.off(name, listener)
    signals.off('uncaughtException', crash)
    stdout.off('error', onStdout)
  }
  return { signal: controller.signal, readerGone: () => readerGone, release }
}
