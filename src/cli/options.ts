import type { Command } from 'commander'
import { Option } from 'commander'
import { SnapError } from '../errors.ts'

/**
 * Turns the text of an option into its value. `name` is what the user wrote it as (`--since`, `INFLUX_SNAP_SINCE`).
 * @throws SnapError `E_USAGE` that begins with `name` and quotes the text
 */
export type ValueParser<T> = ((text: string, name: string) => T) & {
  /** The texts it takes, if they are few. */
  readonly choices?: readonly string[]
}

/** How an option takes its values: none, one, or one each time it is given. */
export type SettingKind = 'switch' | 'value' | 'list'

/** Returns the variable that sets an option: `INFLUX_SNAP_FIRST_BYTE_TIMEOUT`. */
export function variableOf(optionName: string): string {
  return `INFLUX_SNAP_${optionName.toUpperCase().replaceAll('-', '_')}`
}

/** An option of commander that can also be set by a variable or a configuration file. */
export class SettingOption extends Option {
  readonly kind: SettingKind
  /** The values it takes, if they are few; commander would show them in the help. */
  readonly allowed: readonly string[]
  /** Reads the texts of another source than the command line; `name` is that source. */
  readonly parseTexts: (texts: readonly string[], name: string) => unknown

  constructor(spec: SettingSpec, kind: SettingKind, parse: ValueParser<unknown>) {
    super(spec.flags, spec.description)
    this.kind = kind
    this.allowed = parse.choices ?? []
    this.parseTexts = (texts, name) => parseAll({ kind, negate: this.negate, parse }, texts, name)
    if (spec.group !== undefined) this.helpGroup(spec.group)
  }
}

/** A declared option and the way to read its value with its type. */
export interface Setting<T> {
  /** The name without dashes, also the key of a configuration file: `first-byte-timeout`. */
  readonly name: string
  /** Declares the option on a command. */
  readonly addTo: (command: Command) => void
  /** Returns the value of a command that {@link Setting.addTo} was called on. */
  readonly read: (command: Command) => T
}

/** What every option says about itself. */
export interface SettingSpec {
  /** As commander writes it: `--since <time>`. */
  readonly flags: string
  readonly description: string
  /** The heading it stands under in the help. */
  readonly group?: string | undefined
}

interface ValueSpec<T> extends SettingSpec {
  readonly parse: ValueParser<T>
  /** The default, as a user would write it. */
  readonly fallback?: string | undefined
}

function settingOf<T>(makeOption: () => SettingOption, absent: T): Setting<T> {
  const sample = makeOption()
  const key = sample.attributeName()
  return {
    name: sample.name(),
    addTo: (command) => void command.addOption(makeOption()),
    read: (command) => command.getOptionValue(key) ?? absent,
  }
}

/** Declares an option that is given or not. One named `--no-x` reads as `true` unless it is given. */
export function switchSetting(spec: SettingSpec): Setting<boolean> {
  return settingOf(() => new SettingOption(spec, 'switch', parseSwitch), false)
}

/** Declares an option with one value; the last one given counts. */
export function valueSetting<T>(spec: ValueSpec<T> & { readonly fallback: string }): Setting<T>
export function valueSetting<T>(spec: ValueSpec<T>): Setting<T | undefined>
export function valueSetting<T>(spec: ValueSpec<T>): Setting<T | undefined> {
  const { parse, fallback } = spec
  const makeOption = () => {
    const option = new SettingOption(spec, 'value', parse)
    const name = `--${option.name()}`
    option.argParser((text) => parse(text, name))
    return fallback === undefined ? option : option.default(parse(fallback, name), fallback)
  }
  return settingOf<T | undefined>(makeOption, undefined)
}

/**
 * Declares an option with one value that is a secret: the command line, which all the machine can read, is refused. An option
 * of the same name with `-file` behind it should stand beside it.
 */
export function secretSetting<T>(spec: Omit<ValueSpec<T>, 'fallback'>): Setting<T | undefined> {
  const makeOption = () => {
    const option = new SettingOption(spec, 'value', spec.parse)
    return option.argParser(() => refuseOnLine(option.name()))
  }
  return settingOf<T | undefined>(makeOption, undefined)
}

function refuseOnLine(name: string): never {
  const what = `--${name} is a secret, and all the machine can read a command line`
  throw new SnapError('E_USAGE', what, {
    hint: `set ${variableOf(name)}, give --${name}-file FILE, or write ${name} into the --config file`,
  })
}

/** Declares an option that may be given more than once. */
export function listSetting<T>(spec: Omit<ValueSpec<T>, 'fallback'>): Setting<readonly T[]> {
  const makeOption = () => {
    const option = new SettingOption(spec, 'list', spec.parse)
    const name = `--${option.name()}`
    return option.argParser<readonly T[] | undefined>((text, previous) => [
      ...(previous ?? []),
      spec.parse(text, name),
    ])
  }
  return settingOf<readonly T[]>(makeOption, [])
}

/** Declares options on a command, in their order. */
export function addSettings(
  command: Command,
  settings: Readonly<Record<string, Setting<unknown>>>,
): void {
  for (const setting of Object.values(settings)) setting.addTo(command)
}

const TRUE = new Set(['1', 't', 'true', 'yes', 'on'])
const FALSE = new Set(['0', 'f', 'false', 'no', 'off'])

/** Reads a truth value as Go's flag package and people write it. */
export function parseSwitch(text: string, name: string): boolean {
  const word = text.toLowerCase()
  if (TRUE.has(word)) return true
  if (FALSE.has(word)) return false
  throw new SnapError('E_USAGE', `${name}: expected true or false, got ${JSON.stringify(text)}`)
}

interface TextsParser {
  readonly kind: SettingKind
  readonly negate: boolean
  readonly parse: ValueParser<unknown>
}

function parseAll(parser: TextsParser, texts: readonly string[], name: string): unknown {
  const { kind, negate, parse } = parser
  if (kind === 'list') return texts.map((text) => parse(text, name))
  const [text, ...more] = texts
  if (text === undefined || more.length > 0) {
    throw new SnapError('E_USAGE', `${name}: expected one value, got ${texts.length}`)
  }
  const value = parse(text, name)
  return kind === 'switch' && negate ? value === false : value
}
