import type { Command, CommanderError } from 'commander'
import { SnapError } from '../errors.ts'
import { suggest } from '../suggest.ts'
import { GO_NAMES } from './go-flags.ts'

/** Codes of commander that are no errors: help or the version was asked for. */
const SHOWN = new Set(['commander.helpDisplayed', 'commander.version'])

/** Tells if commander stopped only because it has shown what was asked for. */
export function wasAskedFor(error: CommanderError): boolean {
  return SHOWN.has(error.code) || (error.code === 'commander.help' && error.exitCode === 0)
}

/** The command the words are about, if they name one. */
export function findCommand(program: Command, name: string | undefined): Command | undefined {
  return program.commands.find((command) => command.name() === name)
}

function helpOf(command: Command | undefined): string {
  return `see \`snap ${command === undefined ? '' : `${command.name()} `}--help\``
}

/** Points a usage error that says nothing itself at the help of its command. */
export function withHelpHint(error: SnapError, command: Command | undefined): SnapError {
  if (error.code !== 'E_USAGE' || error.hint !== undefined) return error
  return new SnapError(error.code, error.message, { hint: helpOf(command), cause: error })
}

/**
 * Refuses help for a command that is not there: commander would show all of the help first.
 * @throws SnapError `E_USAGE`
 */
export function refuseUnknownHelp(program: Command, [first, name]: readonly string[]): void {
  if (first !== 'help' || name === undefined || name.startsWith('-') || name === 'help') return
  if (findCommand(program, name) !== undefined) return
  const near = suggest(
    name,
    program.commands.map((command) => command.name()),
  )
  const help = helpOf(undefined)
  throw new SnapError('E_USAGE', `unknown command '${name}'`, {
    hint: near === undefined ? help : `did you mean ${near}? ${help}`,
  })
}

function didYouMean(error: CommanderError, program: Command, words: readonly string[]) {
  const commandNames = program.commands.map((command) => command.name())
  const [, quoted = ''] = /'([^']+)'/.exec(error.message) ?? []
  if (error.code === 'commander.unknownCommand') return suggest(quoted, commandNames)
  if (error.code !== 'commander.unknownOption') return undefined
  const options = (findCommand(program, words[0]) ?? program).options
  return suggestOption(
    quoted.replace(/=.*$/s, ''),
    options.flatMap(({ long }) => long ?? []),
  )
}

/** Dashes are no letters that could be right; one alone may be of Go's manner, with names of its own. */
function suggestOption(flag: string, options: readonly string[]): string | undefined {
  const names = [...options.map((option) => option.slice(2)), 'help']
  const goNames = /^-[^-]/.test(flag) ? GO_NAMES : []
  const near = suggest(flag.replace(/^-+/, ''), [...names, ...goNames])
  return near === undefined ? undefined : `${names.includes(near) ? '--' : '-'}${near}`
}

function hintFor(error: CommanderError, program: Command, words: readonly string[]): string {
  const command = findCommand(program, words[0])
  const help = helpOf(command)
  const near = didYouMean(error, program, words)
  if (near !== undefined) return `did you mean ${near}? ${help}`
  const early = error.code === 'commander.unknownOption' && command === undefined
  return early ? `options stand behind the command; ${help}` : help
}

function messageFor(error: CommanderError): string {
  if (error.code === 'commander.help') return 'missing command'
  return (
    error.message
      .replace(/^error: /, '')
      // The value may be a secret that somebody tried to give as a flag.
      .replace(/^(unknown option '[^=']+)=.*$/s, "$1'")
      .replace(/^missing required argument '(.*)'$/, 'missing $1')
  )
}

/** Returns what commander found wrong as a usage error, with what was probably meant. */
export function usageError(
  error: CommanderError,
  program: Command,
  words: readonly string[],
): SnapError {
  const hint = hintFor(error, program, words)
  return new SnapError('E_USAGE', messageFor(error), { hint, cause: error })
}
