import type { Command } from 'commander'
import { suggest } from '../suggest.ts'
import type { CliContext } from './context.ts'
import { SettingOption, variableOf } from './options.ts'
import { SECRET_VARIABLES } from './secrets.ts'

const OURS = /^INFLUX_SNAP_/
/** What hooks are told, and what the tests of snap go by. */
const NO_SETTINGS = /^INFLUX_SNAP_(?:RUN|TEST)_/

/** The variables that some command of the program reads. */
function knownVariables(program: Command): Set<string> {
  const options = program.commands.flatMap((command) => command.options)
  const names = options.filter((option) => option instanceof SettingOption)
  return new Set([
    ...names.map((option) => variableOf(option.name())),
    ...Object.values(SECRET_VARIABLES),
  ])
}

/** Returns a warning for each variable that looks like a setting and is none, with what was probably meant. */
export function unknownVariables(program: Command, env: CliContext['env']): string[] {
  const given = Object.keys(env).filter(
    (name) => OURS.test(name) && !NO_SETTINGS.test(name) && env[name] !== '',
  )
  if (given.length === 0) return []
  const known = knownVariables(program)
  return given
    .filter((name) => !known.has(name))
    .map((name) => {
      const near = suggest(name, known)
      return `${name} is no setting${near === undefined ? '' : `: did you mean ${near}?`}`
    })
}
