import { SnapError } from '../errors.ts'

/** What the name of an entry in a shard tar says: `database/retentionPolicy/shardId/file`. */
export interface EntryPath {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
  /** Path inside the shard's directory, `/` between components: `000000001-000000001.tsm`. */
  readonly file: string
}

/** No path influxd makes comes near this; it bounds what a stream can make us keep. In UTF-16 units. */
const MAX_NAME_LENGTH = 4096
const MAX_SHARD_ID = 2n ** 64n - 1n
const SHARD_ID = /^(?:0|[1-9][0-9]{0,19})$/
// influxd refuses names with `/`, `\` or anything unprintable (ValidName in services/meta/data.go), so
// no entry of it can hold them. A lone surrogate has no UTF-8 form.
const UNSAFE = /[\\\p{Cc}\p{Cs}]/u

/**
 * Returns the parts of an entry's name.
 * @throws SnapError `E_FORMAT` if the name is not that of a file in a shard, or could lead out of the shard's
 * directory: absolute, `.`, `..` or empty components, backslashes, control characters
 */
export function parseEntryName(name: string): EntryPath {
  const [database, retentionPolicy, id, ...file] = name.split('/')
  if (database === undefined || retentionPolicy === undefined || id === undefined || !file.length) {
    throw refused(name, 'expected database/policy/shard/file')
  }
  const problem = problemOf(name)
  if (problem !== undefined) throw refused(name, problem)
  if (!SHARD_ID.test(id) || BigInt(id) > MAX_SHARD_ID) {
    throw refused(name, `${JSON.stringify(id)} is not a shard id`)
  }
  return { database, retentionPolicy, shardId: BigInt(id), file: file.join('/') }
}

/**
 * Returns the name of an entry.
 * @throws SnapError `E_FORMAT` if {@link parseEntryName} would not return the same parts
 */
export function formatEntryName(path: EntryPath): string {
  const { database, retentionPolicy, shardId, file } = path
  const name = `${database}/${retentionPolicy}/${shardId}/${file}`
  const parsed = parseEntryName(name)
  if (parsed.database !== database || parsed.retentionPolicy !== retentionPolicy) {
    throw refused(name, 'the database or policy name holds a slash')
  }
  return name
}

function problemOf(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return `longer than ${MAX_NAME_LENGTH} characters`
  if (UNSAFE.test(name)) return 'it holds a backslash or a control character'
  for (const component of name.split('/')) {
    if (component === '') return 'a component of it is empty'
    if (component === '.' || component === '..') return `it holds the component ${component}`
  }
  return undefined
}

function refused(name: string, why: string): SnapError {
  return new SnapError(
    'E_FORMAT',
    `shard tar: entry name ${JSON.stringify(name.slice(0, 200))} refused: ${why}`,
  )
}
