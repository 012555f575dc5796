import { join } from 'node:path'
import { expect } from 'vitest'
import { type Finished, launch, type Running, type RunOptions } from './run.ts'
import { ROOT } from './sources.ts'

/** Additions to the environment of the program; undefined takes a variable away. */
export interface SnapOptions extends Omit<RunOptions, 'env'> {
  readonly env?: Readonly<Record<string, string | undefined>>
}

const PROGRAM = join(ROOT, 'bin/snap.js')

/**
 * Runs `bin/snap.js` with `args` to its end, without a terminal. It is the compiled program: `npm run build` comes
 * before, as `npm test` sees to.
 */
export async function snap(args: readonly string[], options: SnapOptions = {}): Promise<Finished> {
  return await startSnap(args, options).finished
}

/** Starts `bin/snap.js` and leaves it running, for servers and for what is to be killed. */
export function startSnap(args: readonly string[], options: SnapOptions = {}): Running {
  const { env = {}, ...rest } = options
  // Neither the developer's own settings nor the build server's may change what a test sees.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:INFLUX_SNAP_|INFLUXDB_|FORCE_COLOR$|NO_COLOR$|CI$)/.test(name),
  )
  const all = Object.fromEntries([...inherited, ...Object.entries(env)])
  return launch(process.execPath, [PROGRAM, ...args], { ...rest, env: all })
}

/** Runs `bin/snap.js` and expects exit code `code`, showing what it said when it is another. */
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

/** Runs `bin/snap.js` with `args` and `--json`, expects exit code 0 and returns the document. */
export async function snapJson(
  args: readonly string[],
  options: SnapOptions = {},
): Promise<Record<string, unknown>> {
  const { stdout } = await snapExpecting(0, [...args, '--json'], options)
  return JSON.parse(stdout)
}
