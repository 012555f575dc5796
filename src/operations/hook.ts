import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { killGroup } from './kill-group.ts'

/** A command of the operator's that is run beside our work. */
export interface Hook {
  /** What the shell is given. */
  readonly script: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Longest time in ms; then it is ended, with all that it started. */
  readonly timeout: number
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
  /** Gets what it says, line by line. */
  readonly onLine: (line: string) => void
}

/** How long a hook may take to end after SIGTERM, in ms. */
const KILL_GRACE = 3_000
/** How long output may still come from what a hook has left behind, in ms. */
const OUTPUT_GRACE = 500
/** The longest part of a line that is passed on, in characters. */
const MAX_LINE = 2_000

/**
 * Runs a hook with `/bin/sh -c` in a process group of its own, without input. What it leaves running in the background is let be.
 * @throws SnapError `E_FAILED` that says how it ended, if it was not with 0
 */
export async function runHook(hook: Hook): Promise<void> {
  const { timeout, signal } = hook
  const child = spawn('/bin/sh', ['-c', hook.script], {
    detached: true,
    env: hook.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // A second signal ends this process at once; the hook would go on without it.
  const killNow = () => killGroup(child, 'SIGKILL')
  process.on('exit', killNow)
  const timer = AbortSignal.timeout(timeout)
  try {
    const output = Promise.all([child.stdout, child.stderr].map((from) => pass(from, hook.onLine)))
    const ended = await endOf(child, signal ? AbortSignal.any([signal, timer]) : timer)
    await Promise.race([output, sleep(OUTPUT_GRACE, undefined, { ref: false })])
    if (ended !== undefined) throw new SnapError('E_FAILED', describeEnd(ended, { timeout, timer }))
  } finally {
    process.off('exit', killNow)
    child.stdout.destroy()
    child.stderr.destroy()
  }
}

type End = number | NodeJS.Signals | 'stopped' | Error

/** Waits for the end of a hook; undefined if it ended well. */
async function endOf(child: ChildProcess, stop: AbortSignal): Promise<End | undefined> {
  const exited = once(child, 'exit').then(
    ([code, signal]: (number | NodeJS.Signals | null)[]) => code ?? signal ?? 'stopped',
    (error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))),
  )
  const stopped = once(stop, 'abort').then(() => 'stopped' as const)
  const end = stop.aborted ? 'stopped' : await Promise.race([exited, stopped])
  if (end !== 'stopped') return end === 0 ? undefined : end
  killGroup(child, 'SIGTERM')
  const over = new AbortController()
  await Promise.race([exited, sleep(KILL_GRACE, undefined, { signal: over.signal })])
  over.abort()
  // Whatever did not follow the shell into its end.
  killGroup(child, 'SIGKILL')
  await exited
  return 'stopped'
}

function describeEnd(end: End, { timeout, timer }: { timeout: number; timer: AbortSignal }) {
  if (end instanceof Error) return `cannot be run: ${errnoOf(end) ?? messageOf(end)}`
  if (typeof end === 'number') return `ended with ${end}`
  if (end !== 'stopped') return `ended by ${end}`
  return timer.aborted
    ? `not done after ${timeout / 1000} s, and ended`
    : 'ended, since the run was'
}

/** Passes lines on, each cut to a bounded length. */
async function pass(from: Readable, onLine: (line: string) => void): Promise<void> {
  let line = ''
  from.setEncoding('utf8')
  try {
    for await (const chunk of from) {
      const [first = '', ...rest] = String(chunk).split('\n')
      line = (line + first).slice(0, MAX_LINE)
      for (const next of rest) {
        onLine(line)
        line = next.slice(0, MAX_LINE)
      }
    }
  } catch {
    // What a hook left behind may still hold the pipe: it is closed on our side then.
  }
  if (line !== '') onLine(line)
}
