import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import type { CliContext } from '../../src/cli/context.ts'
import { addGeneralOptions } from '../../src/cli/general-options.ts'
import type { CommandResult } from '../../src/cli/output.ts'
import { buildProgram, runCli } from '../../src/cli/program.ts'
import type { Run } from '../../src/cli/run.ts'
import { runCommand } from '../../src/cli/run.ts'

/** A stream that keeps what is written to it, a terminal if `columns` is given. */
export class Screen extends Writable {
  text = ''
  readonly isTTY: boolean | undefined
  columns: number | undefined
  /** Fails the next writes with this errno. */
  failWith: string | undefined

  constructor(columns?: number) {
    super({ decodeStrings: false })
    this.isTTY = columns === undefined ? undefined : true
    this.columns = columns
  }

  override _write(chunk: string, _encoding: string, callback: (error?: Error) => void): void {
    if (this.failWith !== undefined) {
      callback(Object.assign(new Error(`${this.failWith}: write`), { code: this.failWith }))
      return
    }
    this.text += chunk
    callback()
  }

  // What ora asks of a terminal.
  cursorTo(): boolean {
    return true
  }
  clearLine(): boolean {
    return true
  }
  moveCursor(): boolean {
    return true
  }
}

/** A world of one command line, and what became of it. */
export interface TestContext extends CliContext {
  readonly stdout: Screen
  readonly stderr: Screen
  readonly signals: EventEmitter
  /** The last exit code set. */
  readonly exitCode: () => number | undefined
  /** The codes of exits at once. */
  readonly exits: readonly number[]
}

interface WorldOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Makes stderr a terminal of this width. */
  readonly columns?: number
  /** Makes stdout a terminal of this width. */
  readonly stdoutColumns?: number
}

/** Returns a world for `argv`. */
export function contextOf(argv: readonly string[], options: WorldOptions = {}): TestContext {
  let code: number | undefined
  const exits: number[] = []
  return {
    argv,
    env: options.env ?? {},
    stdout: new Screen(options.stdoutColumns),
    stderr: new Screen(options.columns),
    signals: new EventEmitter(),
    setExitCode: (exitCode) => {
      code = exitCode
    },
    exitNow: (exitCode) => void exits.push(exitCode),
    exitCode: () => code,
    exits,
  }
}

/** A command of a test: declares its options, then works. */
export interface TestCommand {
  readonly declare?: (command: Command) => void
  readonly work: (run: Run, command: Command) => Promise<CommandResult>
}

/** Runs a command line in a world whose program also has the command `probe [TARGET]`. */
export async function runIn(context: TestContext, probe?: TestCommand): Promise<void> {
  const program = buildProgram(context)
  if (probe !== undefined) {
    const command = program.command('probe').description('probes').argument('[TARGET]', 'a place')
    probe.declare?.(command)
    addGeneralOptions(command)
    command.action(() => runCommand(context, command, (run) => probe.work(run, command)))
  }
  await runCli(context, program)
}

/** Runs `snap probe ...argv` and returns what its work read from its options. */
export async function readWith<T>(
  argv: readonly string[],
  probe: { declare: (command: Command) => void; read: (command: Command, run: Run) => T },
  options: WorldOptions = {},
): Promise<{ readonly value: T | undefined; readonly context: TestContext }> {
  const context = contextOf(['probe', ...argv], options)
  let value: T | undefined
  const work = async (run: Run, command: Command) => {
    value = probe.read(command, run)
    return { document: {} }
  }
  await runIn(context, { declare: probe.declare, work })
  return { value, context }
}

/** The error a command line ended with, from the last line of stderr in the JSON mode. */
export function errorOf(context: TestContext): Record<string, unknown> {
  return JSON.parse(context.stderr.text.trimEnd().split('\n').at(-1) ?? '')
}
