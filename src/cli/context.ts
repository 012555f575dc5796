import type { Writable } from 'node:stream'

/** Where text goes: a stream that may be a terminal. */
export type TextStream = Writable & {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** The signals a command answers to. */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** What carries signals: `process`, or an `EventEmitter` of a test. */
export interface SignalSource {
  on(event: StopSignal, listener: () => void): unknown
  on(event: 'uncaughtException', listener: (error: unknown) => void): unknown
  off(event: StopSignal, listener: () => void): unknown
  off(event: 'uncaughtException', listener: (error: unknown) => void): unknown
}

/** The world outside a command line, all of it, so that a test can be one. */
export interface CliContext {
  /** The words after the program's name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: TextStream
  readonly stderr: TextStream
  readonly signals: SignalSource
  /** Notes the exit code; the process ends by itself when nothing is left to do. */
  readonly setExitCode: (exitCode: number) => void
  /** Ends the process now: the answer to a second signal. */
  readonly exitNow: (exitCode: number) => void
}
