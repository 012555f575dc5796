import { join } from 'node:path'
import { expect } from 'vitest'
import { contextOf, runIn } from '../cli/harness.ts'
import { type Finished, launch, type Running, type RunOptions } from './run.ts'
import { ROOT } from './sources.ts'
import { tempDir } from './temp.ts'

/** Additions to the environment of the program; undefined takes a variable away. */
export interface ProgramOptions extends Omit<RunOptions, 'env'> {
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface SnapOptions {
  /** Environment besides the state directory of the tests. */
  readonly env?: Readonly<Record<string, string>>
  /** Runs `bin/snap.js` as a program of its own, as a user does. */
  readonly program?: boolean
}

const PROGRAM = join(ROOT, 'bin/snap.js')

/** What runs note for those after them stays out of the home directory of whoever runs the tests. */
const OWN = { XDG_STATE_HOME: await tempDir('state') }

/**
 * Runs `snap` with `args` to its end, without a terminal. Unless said otherwise it runs over the sources in this process:
 * that is quick, and it is seen what of them ran.
 */
export async function snap(args: readonly string[], options: SnapOptions = {}): Promise<Finished> {
  const env = { ...OWN, ...options.env }
  if (options.program) return await startSnap(args, { env }).finished
  const context = contextOf(args, { env })
  await runIn(context)
  const { stdout, stderr } = context
  const code = context.exitCode()
  return { code, signal: undefined, stdout: stdout.text, stderr: stderr.text }
}

/**
 * Starts `bin/snap.js` and leaves it running, for servers and for what is to be killed. It is the compiled program:
 * `npm run build` comes before, as `npm test` sees to.
 */
export function startSnap(args: readonly string[], options: ProgramOptions = {}): Running {
  const { env = {}, ...rest } = options
  // Neither the developer's own settings nor the build server's may change what a test sees.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:INFLUX_SNAP_|INFLUXDB_|FORCE_COLOR$|NO_COLOR$|CI$)/.test(name),
  )
  const all = Object.fromEntries([...inherited, ...Object.entries({ ...OWN, ...env })])
  return launch(process.execPath, [PROGRAM, ...args], { ...rest, env: all })
}

/** Runs `snap` and expects exit code `code`, showing what it said when it is another. */
export async function snapExpecting(
  code: number,
  args: readonly string[],
  options: SnapOptions = {},
): Promise<Finished> {
  const finished = await snap(args, options)
  const said = `snap ${args.join(' ')}\n${finished.stdout}\n${finished.stderr}`
  expect(finished.code, said).toBe(code)
  return finished
}

/** Runs `snap` with `args` and `--json`, expects exit code 0 and returns the document. */
export async function snapJson(args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout } = await snapExpecting(0, [...args, '--json'])
  return JSON.parse(stdout)
}
