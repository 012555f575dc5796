import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { readOutputMode } from './general-options.ts'

/** What a coloured word means. */
export type Meaning = 'good' | 'bad' | 'doubt' | 'plain'

/** What results are shown on. */
export interface Screen {
  /** Columns of a terminal; undefined for a file or a pipe, whose lines are never cut or wrapped. */
  readonly width: number | undefined
  /** Puts text into the colour of its meaning, if colours may be. */
  readonly paint: (text: string, meaning: Meaning) => string
}

const PLAIN = (text: string) => text

/** Returns what standard output is. */
export async function screenOf(command: Command, context: CliContext): Promise<Screen> {
  const { stdout } = context
  const width = stdout.isTTY ? stdout.columns || 80 : undefined
  if (!readOutputMode(command, { ...context, stderr: stdout }).color) return { width, paint: PLAIN }
  const { Chalk } = await import('chalk')
  const { green, red, yellow } = new Chalk({ level: 1 })
  const colors = { good: green, bad: red.bold, doubt: yellow, plain: PLAIN }
  return { width, paint: (text, meaning) => colors[meaning](text) }
}
