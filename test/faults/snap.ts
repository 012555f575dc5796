import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { contextOf, runIn, type TestContext } from '../cli/harness.ts'
import { tempDir } from '../helpers/temp.ts'

/** How a command line ended that was run in this process. */
export interface Outcome {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Where runs keep what must outlive them. */
let state: string | undefined

/** Runs `snap` with `words` in this process, over the sources: a matrix of hundreds of runs has no time to start a node each. */
export async function snap(...words: readonly string[]): Promise<Outcome> {
  state ??= await tempDir('state')
  return await finish(contextOf(words, { env: { XDG_STATE_HOME: state } }))
}

/** Runs a command line to its end. */
export async function finish(context: TestContext): Promise<Outcome> {
  await runIn(context)
  return { code: context.exitCode(), stdout: context.stdout.text, stderr: context.stderr.text }
}

/** Runs `snap` and expects it to end with `code`, showing what it said if not. */
export async function snapEnding(code: number, ...words: readonly string[]): Promise<Outcome> {
  const outcome = await snap(...words)
  expect(outcome.code, `snap ${words.join(' ')}\n${outcome.stderr}`).toBe(code)
  return outcome
}

/** A `snap serve` in this process. */
export interface Serving {
  /** `127.0.0.1:port` */
  readonly host: string
  readonly stop: () => Promise<Outcome>
}

/** Starts `snap serve` with `flags` in this process on a port of its own. */
export async function serving(flags: readonly string[]): Promise<Serving> {
  const context = contextOf(['serve', '--bind', '127.0.0.1:0', ...flags])
  const ended = finish(context)
  const host = await addressOf(context)
  const stop = async () => {
    context.signals.emit('SIGTERM')
    return await ended
  }
  return { host, stop }
}

const START_MS = 20_000

async function addressOf({ stderr, exitCode }: TestContext): Promise<string> {
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; await sleep(2)) {
    const [, host] = / on (127\.0\.0\.1:\d+),/.exec(stderr.text) ?? []
    if (host !== undefined) return host
    if (exitCode() !== undefined) break
  }
  throw new Error(`snap serve did not start; it said:\n${stderr.text}`)
}
