import { readFile } from 'node:fs/promises'
import { parse, TomlError } from 'smol-toml'
import * as v from 'valibot'
import { messageOf, SnapError } from '../errors.ts'
import { suggest } from '../suggest.ts'

/** The texts of each key of a configuration file, or of one target in it. */
export type ConfigTable = ReadonlyMap<string, readonly string[]>

/** Options for every command, and options for some of them. */
export interface ConfigSection {
  readonly options: ConfigTable
  /** By the name of the command. */
  readonly commands: ReadonlyMap<string, ConfigTable>
}

/** A configuration file: options for every run, and named targets with options of their own. */
export interface ConfigFile extends ConfigSection {
  readonly targets: ReadonlyMap<string, ConfigSection>
}

/** The names of the options of each command, without dashes. */
export type CommandOptions = ReadonlyMap<string, ReadonlySet<string>>

/** The one key of a target that is no option: the TARGET or SOURCE it stands for. */
export const LOCATION = 'location'

/** No configuration file is larger than this many bytes. */
const MAX_BYTES = 1024 * 1024

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path)
    if (bytes.length > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`)
    return bytes.toString('utf8')
  } catch (error) {
    throw new SnapError('E_USAGE', `--config ${path}: cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function parseDocument(text: string, path: string) {
  const scalar = v.pipe(
    v.union(
      [v.string(), v.number(), v.bigint(), v.boolean()],
      'expected text, a number, true or false',
    ),
    v.transform(String),
  )
  const value = v.union(
    [
      v.array(scalar),
      v.pipe(
        scalar,
        v.transform((text) => [text]),
      ),
    ],
    EXPECTED,
  )
  const { targets, ...rest } = parseToml(text, path)
  const table = v.pipe(v.custom(isTable, EXPECTED), v.record(v.string(), value))
  const section = v.record(v.string(), v.union([value, table], EXPECTED))
  const schema = v.object({
    rest: section,
    targets: v.optional(v.record(v.string(), section, 'expected [targets.NAME]'), {}),
  })
  const result = v.safeParse(schema, { rest, targets })
  if (result.success) return result.output
  const [issue] = result.issues
  const where = v.getDotPath(issue)?.replace(/^rest\./, '') ?? 'the file'
  throw new SnapError('E_USAGE', `${path}: ${where}: ${issue.message}`)
}

/** Says where the text is wrong in one line; the parser's message shows it in several. */
function parseToml(text: string, path: string) {
  try {
    return parse(text, { integersAsBigInt: true })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [what = ''] = error.message.split('\n')
    const message = `${path}: line ${error.line}, column ${error.column}: ${what}`
    throw new SnapError('E_USAGE', message, { cause: error, hint: 'text stands in quotes' })
  }
}

const EXPECTED = 'expected text, a number, true or false, or a list of them (times are text)'

/** Arrays and times are objects too. */
function isTable(item: unknown): boolean {
  return typeof item === 'object' && !Array.isArray(item) && !(item instanceof Date)
}

type Section = Readonly<Record<string, string[] | Readonly<Record<string, string[]>>>>

interface KnownKeys {
  readonly keys: ReadonlySet<string>
  readonly where: string
}

function tableOf(entries: Readonly<Record<string, string[]>>, known: KnownKeys): ConfigTable {
  for (const key of Object.keys(entries)) {
    if (known.keys.has(key)) continue
    throw unknown(known.where, key, known.keys, 'keys are the long options without their dashes')
  }
  return new Map(Object.entries(entries))
}

function unknown(where: string, key: string, known: Iterable<string>, hint: string): SnapError {
  const near = suggest(key, known)
  return new SnapError('E_USAGE', `${where}: unknown key ${JSON.stringify(key)}`, {
    hint: near === undefined ? hint : `did you mean ${near}?`,
  })
}

interface SectionPlace {
  readonly commands: CommandOptions
  /** Keys of the section besides options. */
  readonly more: readonly string[]
  readonly path: string
  /** `targets.nightly.`, or nothing. */
  readonly prefix: string
}

function sectionOf(
  entries: Section,
  { commands, more, path, prefix }: SectionPlace,
): ConfigSection {
  const known = new Set([...[...commands.values()].flatMap((names) => [...names]), ...more])
  const where = prefix === '' ? path : `${path}: [${prefix.slice(0, -1)}]`
  const options: [string, string[]][] = []
  const tables = new Map<string, ConfigTable>()
  for (const [key, item] of Object.entries(entries)) {
    const keys = commands.get(key)
    if (Array.isArray(item)) options.push([key, item])
    else if (keys !== undefined) {
      tables.set(key, tableOf(item, { keys, where: `${path}: [${prefix}${key}]` }))
    } else if (known.has(key)) {
      throw new SnapError('E_USAGE', `${path}: ${prefix}${key}: ${EXPECTED}`)
    } else throw unknown(where, key, [...known, ...commands.keys()], 'tables are named by commands')
  }
  return { options: tableOf(Object.fromEntries(options), { keys: known, where }), commands: tables }
}

/**
 * Reads a TOML configuration file.
 *
 * @param commands every option of every command: a file may serve several
 * @throws SnapError `E_USAGE` if it cannot be read, is no TOML, or has an unknown key
 */
export async function readConfigFile(path: string, commands: CommandOptions): Promise<ConfigFile> {
  const text = await readText(path)
  let document: Awaited<ReturnType<typeof parseDocument>>
  try {
    document = parseDocument(text, path)
  } catch (error) {
    if (error instanceof SnapError) throw error
    throw new SnapError('E_USAGE', `${path}: ${messageOf(error)}`, { cause: error })
  }
  const targets = Object.entries(document.targets).map(([name, entries]) => {
    const place = { commands, more: [LOCATION], path, prefix: `targets.${name}.` }
    return [name, sectionOf(entries, place)] as const
  })
  const top = sectionOf(document.rest, { commands, more: [], path, prefix: '' })
  return { ...top, targets: new Map(targets) }
}
