import { readFile } from 'node:fs/promises'
import { messageOf, SnapError } from '../errors.ts'
import { suggest } from './suggest.ts'

/** The texts of each key of a configuration file, or of one target in it. */
export type ConfigTable = ReadonlyMap<string, readonly string[]>

/** A configuration file: options for every run, and named targets with options of their own. */
export interface ConfigFile {
  readonly options: ConfigTable
  readonly targets: ReadonlyMap<string, ConfigTable>
}

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

/** The schema, its library loaded only when there is a file. */
async function parseDocument(text: string, path: string) {
  const [{ parse }, v] = await Promise.all([import('smol-toml'), import('valibot')])
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
    'expected text, a number, true or false, or a list of them (times are text)',
  )
  const { targets, ...options } = parse(text, { integersAsBigInt: true })
  const schema = v.object({
    options: v.record(v.string(), value),
    targets: v.optional(
      v.record(v.string(), v.record(v.string(), value), 'expected [targets.NAME]'),
      {},
    ),
  })
  const result = v.safeParse(schema, { options, targets })
  if (result.success) return result.output
  const [issue] = result.issues
  const where = v.getDotPath(issue)?.replace(/^options\./, '') ?? 'the file'
  throw new SnapError('E_USAGE', `${path}: ${where}: ${issue.message}`)
}

interface KnownKeys {
  readonly keys: ReadonlySet<string>
  readonly where: string
}

function tableOf(entries: Readonly<Record<string, string[]>>, known: KnownKeys): ConfigTable {
  for (const key of Object.keys(entries)) {
    if (known.keys.has(key)) continue
    const near = suggest(key, known.keys)
    throw new SnapError('E_USAGE', `${known.where}: unknown key ${JSON.stringify(key)}`, {
      hint:
        near === undefined
          ? 'keys are the long options without their dashes'
          : `did you mean ${near}?`,
    })
  }
  return new Map(Object.entries(entries))
}

/**
 * Reads a TOML configuration file.
 *
 * @param optionNames every option of every command, without dashes: a file may serve several commands
 * @throws SnapError `E_USAGE` if it cannot be read, is no TOML, or has an unknown key
 */
export async function readConfigFile(
  path: string,
  optionNames: ReadonlySet<string>,
): Promise<ConfigFile> {
  const text = await readText(path)
  let document: Awaited<ReturnType<typeof parseDocument>>
  try {
    document = await parseDocument(text, path)
  } catch (error) {
    if (error instanceof SnapError) throw error
    throw new SnapError('E_USAGE', `${path}: ${messageOf(error)}`, { cause: error })
  }
  const targetKeys = new Set([...optionNames, LOCATION])
  const targets = Object.entries(document.targets).map(
    ([name, entries]) =>
      [name, tableOf(entries, { keys: targetKeys, where: `${path}: [targets.${name}]` })] as const,
  )
  return {
    options: tableOf(document.options, { keys: optionNames, where: path }),
    targets: new Map(targets),
  }
}
