import type { Command } from 'commander'
import { SettingOption } from './options.ts'
import { findCommand } from './usage.ts'

/** A word that fits, and what it means. */
export interface Candidate {
  readonly word: string
  readonly about?: string | undefined
}

/** What is looked up for words that are no part of the program. */
export interface Lookups {
  /** The names of the sets of a target, newest first. */
  sets(location: string): Promise<readonly string[]>
  /** The databases of its newest set. */
  databases(location: string): Promise<readonly string[]>
}

/** Options whose values are names of databases of the TARGET or SOURCE, and of its sets. */
const DATABASES = new Set(['db', 'exclude-db'])
const SETS = new Set(['set'])
/** Commands whose further arguments are sets of the first. */
const OF_SETS = new Set(['pin', 'unpin'])

/**
 * Finds what may stand in place of the last of `words`, which may be empty or begun. None where the shell's own file names are best.
 * @param words what stands behind `snap`
 */
export async function completeWords(
  program: Command,
  words: readonly string[],
  lookups: Lookups,
): Promise<readonly Candidate[]> {
  const begun = words.at(-1) ?? ''
  const fits = ({ word }: Candidate) => word.startsWith(begun)
  if (words.length < 2) return commandsOf(program).filter(fits)
  const command = findCommand(program, words[0])
  if (command === undefined) return []
  const before = words.slice(1, -1)
  const last = optionOf(command, before.at(-1))
  const found =
    last !== undefined && takesValue(last)
      ? await valuesOf(last, locationIn(command, before), lookups)
      : begun.startsWith('-')
        ? optionsOf(command)
        : await argumentsOf(command, before, lookups)
  return found.filter(fits)
}

function commandsOf(program: Command): Candidate[] {
  return program.commands
    .filter((command) => command.name() !== 'help')
    .map((command) => ({ word: command.name(), about: command.description() }))
}

function optionsOf(command: Command): Candidate[] {
  return command.options.flatMap(({ long, description }) =>
    long ? [{ word: long, about: description }] : [],
  )
}

function optionOf(command: Command, word: string | undefined): SettingOption | undefined {
  if (word === undefined) return undefined
  const found = command.options.find(({ long, short }) => long === word || short === word)
  return found instanceof SettingOption ? found : undefined
}

function takesValue({ kind }: SettingOption): boolean {
  return kind !== 'switch'
}

async function valuesOf(
  option: SettingOption,
  location: string | undefined,
  lookups: Lookups,
): Promise<Candidate[]> {
  if (option.allowed.length > 0) return option.allowed.map((word) => ({ word }))
  if (location === undefined) return []
  if (DATABASES.has(option.name())) return wordsOf(await lookups.databases(location))
  if (SETS.has(option.name())) return wordsOf(['latest', ...(await lookups.sets(location))])
  return []
}

async function argumentsOf(
  command: Command,
  before: readonly string[],
  lookups: Lookups,
): Promise<Candidate[]> {
  const location = locationIn(command, before)
  if (location === undefined || !OF_SETS.has(command.name())) return []
  return wordsOf(await lookups.sets(location))
}

function wordsOf(words: readonly string[]): Candidate[] {
  return words.map((word) => ({ word }))
}

/** The TARGET or SOURCE among words: that of `--from`, or the first that is neither an option nor the value of one. */
function locationIn(command: Command, words: readonly string[]): string | undefined {
  const from = words.lastIndexOf('--from')
  if (from >= 0) return words[from + 1]
  return words.find((word, i) => {
    const option = optionOf(command, words[i - 1])
    return !word.startsWith('-') && (option === undefined || !takesValue(option))
  })
}
