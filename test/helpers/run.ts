import { type ChildProcess, spawn } from 'node:child_process'
import { guardProcess } from './warden.ts'

/** How a program ended and what it said. */
export interface Finished {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  /** The whole environment. Default: this process's. */
  readonly env?: NodeJS.ProcessEnv
  /** What it reads on stdin. Default: nothing. */
  readonly stdin?: string | Uint8Array
  /** After this many ms it is killed and the run fails. Default: 120,000. */
  readonly timeout?: number
}

/** A program that is running, without a terminal. */
export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  /** What it said until now. */
  readonly output: { readonly stdout: string; readonly stderr: string }
  /** Resolves when it has ended; rejects if it could not be started or ran out of time. */
  readonly finished: Promise<Finished>
  /** Resolves once stdout or stderr matches, rejects if it ends before. */
  readonly until: (pattern: RegExp) => Promise<RegExpMatchArray>
  readonly kill: (signal?: NodeJS.Signals) => void
}

/** Runs a program to its end. An exit code other than 0 is an answer, not an error. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return await launch(command, args, options).finished
}

/** Starts a program that ends with this process at the latest. */
export function launch(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Running {
  const { cwd, env = process.env, stdin = '', timeout = 120_000 } = options
  const child = spawn(command, args, { cwd, env, stdio: 'pipe' })
  const release = child.pid === undefined ? () => undefined : guardProcess(child.pid)
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk))
  child.stdin.on('error', () => undefined)
  child.stdin.end(stdin)
  const output = {
    get stdout() {
      return Buffer.concat(chunks.stdout).toString()
    },
    get stderr() {
      return Buffer.concat(chunks.stderr).toString()
    },
  }
  const finished = new Promise<Finished>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      const said = `${output.stdout}\n${output.stderr}`.slice(-2000)
      reject(
        new Error(`${command} ${args.join(' ')}: not done after ${timeout} ms; it said:\n${said}`),
      )
    }, timeout)
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      release()
      const { stdout, stderr } = output
      resolve({ code: code ?? undefined, signal: signal ?? undefined, stdout, stderr })
    })
  })
  // Whoever only waits for a line still gets the error from `until`.
  finished.catch(() => undefined)
  return {
    child,
    pid: child.pid ?? -1,
    output,
    finished,
    until: (pattern) => until(child, output, pattern),
    kill: (signal = 'SIGTERM') => void child.kill(signal),
  }
}

function until(
  child: ChildProcess,
  output: { readonly stdout: string; readonly stderr: string },
  pattern: RegExp,
): Promise<RegExpMatchArray> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const match = output.stdout.match(pattern) ?? output.stderr.match(pattern)
      if (match !== null) resolve(match)
      return match !== null
    }
    if (look()) return
    child.stdout?.on('data', look)
    child.stderr?.on('data', look)
    child.on('close', () => {
      const said = `${output.stdout}\n${output.stderr}`.slice(-2000)
      if (!look()) reject(new Error(`ended before it said ${pattern}; it said:\n${said}`))
    })
    child.on('error', reject)
  })
}
