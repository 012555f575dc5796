import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import { suggest } from '../suggest.ts'
import type { CommandOptions, ConfigFile, ConfigSection } from './config-file.ts'
import { SettingOption, variableOf } from './options.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Options that choose the file, and so cannot stand in it. */
const NOT_IN_FILE = new Set(['config', 'target'])

function settingOptions(command: Command): SettingOption[] {
  return command.options.filter((option) => option instanceof SettingOption)
}

/** The names a configuration file may use: the options of every command of the program. */
function knownNames(command: Command): CommandOptions {
  const commands = command.parent?.commands ?? [command]
  return new Map(
    commands.map((one) => {
      const names = settingOptions(one).map((option) => option.name())
      return [one.name(), new Set(names.filter((name) => !NOT_IN_FILE.has(name)))]
    }),
  )
}

function applyVariables(command: Command, env: Environment): void {
  for (const option of settingOptions(command)) {
    const variable = variableOf(option.name())
    const text = env[variable]
    const key = option.attributeName()
    // An empty variable is how compose files and unit files write one that is not set.
    if (text === undefined || text === '' || command.getOptionValueSource(key) === 'cli') continue
    const texts = option.kind === 'list' ? text.split(',') : [text]
    command.setOptionValueWithSource(key, option.parseTexts(texts, variable), 'env')
  }
}

interface NamedTable {
  readonly table: ReadonlyMap<string, readonly string[]>
  readonly where: string
}

function applyTables(command: Command, tables: readonly NamedTable[]): void {
  for (const option of settingOptions(command)) {
    const key = option.attributeName()
    const name = option.name()
    const source = command.getOptionValueSource(key)
    if (source === 'cli' || source === 'env') continue
    const from = tables.find(({ table }) => table.has(name))
    if (from === undefined) continue
    const texts = from.table.get(name) ?? []
    const value = option.parseTexts(texts, `${from.where}: ${name}`)
    command.setOptionValueWithSource(key, value, 'config')
  }
}

function targetSection(file: ConfigFile, path: string, name: string): ConfigSection {
  const section = file.targets.get(name)
  if (section !== undefined) return section
  const near = suggest(name, file.targets.keys())
  const names = [...file.targets.keys()]
  const list = names.length === 0 ? 'the file names no target' : `it has: ${names.join(', ')}`
  throw new SnapError('E_USAGE', `${path}: no target ${JSON.stringify(name)}`, {
    hint: near === undefined ? list : `did you mean ${near}?`,
  })
}

/** The tables of a section that are about a command, the nearest first. */
function tablesOf(command: Command, section: ConfigSection, where: string): NamedTable[] {
  const own = section.commands.get(command.name())
  const general = { table: section.options, where }
  return own === undefined
    ? [general]
    : [{ table: own, where: `${where} (${command.name()})` }, general]
}

/**
 * Fills the options of a parsed command that the command line did not give: from `INFLUX_SNAP_*` variables, then from
 * the file of `--config`, the target chosen by `--target` first.
 *
 * @returns the TARGET or SOURCE of the named target, if one was chosen and has it
 * @throws SnapError `E_USAGE`
 */
export async function applySettings(
  command: Command,
  env: Environment,
): Promise<string | undefined> {
  applyVariables(command, env)
  const path: unknown = command.getOptionValue('config')
  const target: unknown = command.getOptionValue('target')
  if (typeof path !== 'string') {
    if (typeof target !== 'string') return undefined
    throw new SnapError('E_USAGE', `--target ${target}: there is no file to look it up in`, {
      hint: 'give --config FILE or set INFLUX_SNAP_CONFIG',
    })
  }
  const { LOCATION, readConfigFile } = await import('./config-file.ts')
  const file = await readConfigFile(path, knownNames(command))
  const everywhere = tablesOf(command, file, path)
  if (typeof target !== 'string') {
    applyTables(command, everywhere)
    return undefined
  }
  const chosen = targetSection(file, path, target)
  const nearest = tablesOf(command, chosen, `${path}: [targets.${target}]`)
  applyTables(command, [...nearest, ...everywhere])
  return chosen.options.get(LOCATION)?.[0]
}

/** Tells whether an option is on the command line itself, not in a variable or a file, which are for other runs too. */
export function isOnLine(command: Command, option: string): boolean {
  const found = settingOptions(command).find((one) => one.name() === option)
  return found !== undefined && command.getOptionValueSource(found.attributeName()) === 'cli'
}

/**
 * Refuses options that do not go together, wherever they were set.
 *
 * @throws SnapError `E_USAGE` if `option` and one of `others` (names without dashes) are set
 */
export function refuseTogether(command: Command, option: string, others: readonly string[]): void {
  const given = settingOptions(command)
    .filter((candidate) => {
      const key = candidate.attributeName()
      const source = command.getOptionValueSource(key)
      const off = candidate.kind === 'switch' && command.getOptionValue(key) === candidate.negate
      return source !== undefined && source !== 'default' && !off
    })
    .map((candidate) => candidate.name())
  const other = others.find((name) => given.includes(name))
  if (given.includes(option) && other !== undefined)
    throw new SnapError('E_USAGE', `--${option} cannot be used with --${other}`)
}
