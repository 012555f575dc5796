import { clone, create } from '@bufbuild/protobuf'
import { SnapError } from '../errors.ts'
import type { Data, DatabaseInfo } from './meta_pb.gen.ts'
import { DatabaseInfoSchema, DataSchema } from './meta_pb.gen.ts'
import { findDatabase, findRetentionPolicy, isDeleted } from './select.ts'

/** The database of influxd's own statistics; an import of everything leaves it out. */
export const INTERNAL_DATABASE = '_internal'

/** The longest name of a database or retention policy, in bytes: it names a directory. */
const MAX_NAME_LENGTH = 255

/** What to import and under which names. Empty means the same as left out. */
export interface ImportOptions {
  /** The database to import. Without it everything is imported and the other options are ignored. */
  readonly backupDatabase?: string | undefined
  /** Its new name. Default: the old one. */
  readonly restoreDatabase?: string | undefined
  /** The one policy to import; it becomes the default. Default: all policies. */
  readonly backupRetentionPolicy?: string | undefined
  /** Its new name. Ignored without `backupRetentionPolicy`. */
  readonly restoreRetentionPolicy?: string | undefined
}

/** What an import did. */
export interface Imported {
  /** The new store. Its `index` is not moved: that is for whoever commits it. */
  readonly data: Data
  /** From the ids of shards in the other store to their new ones. Shards of deleted groups are in it, as in influxd. */
  readonly shardIds: Map<bigint, bigint>
  /** New ids of the shards whose group is marked as deleted: nothing is to be made on disk for them. */
  readonly deletedShardIds: Set<bigint>
  /** The names of the databases that came to be. */
  readonly newDatabases: string[]
}

/** No archive can hold a shard of such a name, and influxd takes none in CREATE either. */
const UNUSABLE = /[/\\\p{Cc}\p{Cs}]/u

/** `_series` is where a database keeps its series file. */
function checkName(name: string, what: string): void {
  const length = Buffer.byteLength(name)
  const isTaken = what === 'retention policy' && name === '_series'
  const unusable = isTaken || ['', '.', '..'].includes(name) || UNUSABLE.test(name)
  if (!unusable && length <= MAX_NAME_LENGTH) return
  throw new SnapError(
    'E_USAGE',
    unusable
      ? `${what} ${JSON.stringify(name)} cannot name a directory`
      : `${what}: a name of ${length} bytes, expected at most ${MAX_NAME_LENGTH}`,
  )
}

/** Copies a database with the chosen policies under its new name. */
function copyDatabase(source: DatabaseInfo, name: string, options: ImportOptions): DatabaseInfo {
  const { backupRetentionPolicy = '', restoreRetentionPolicy = '' } = options
  const database = create(DatabaseInfoSchema, {
    name,
    defaultRetentionPolicy: source.defaultRetentionPolicy,
    retentionPolicies: clone(DatabaseInfoSchema, source).retentionPolicies,
  })
  if (backupRetentionPolicy === '') return database
  const policy = findRetentionPolicy(database, backupRetentionPolicy)
  if (policy === undefined) {
    const path = `${source.name}.${backupRetentionPolicy}`
    throw new SnapError('E_NOTHING_MATCHED', `imported metastore has no retention policy ${path}`)
  }
  policy.name = restoreRetentionPolicy === '' ? backupRetentionPolicy : restoreRetentionPolicy
  database.defaultRetentionPolicy = policy.name
  database.retentionPolicies = [policy]
  return database
}

/** Gives groups and shards of `database` the next free ids of the store and clears owners. */
function renumber(imported: Imported, database: DatabaseInfo): void {
  const { data, shardIds, deletedShardIds } = imported
  for (const group of database.retentionPolicies.flatMap((policy) => policy.shardGroups)) {
    data.maxShardGroupId += 1n
    group.id = data.maxShardGroupId
    for (const shard of group.shards) {
      data.maxShardId += 1n
      shardIds.set(shard.id, data.maxShardId)
      shard.id = data.maxShardId
      shard.ownerIds = []
      shard.owners = []
      if (isDeleted(group)) deletedShardIds.add(shard.id)
    }
  }
}

function importDatabase(imported: Imported, source: DatabaseInfo, options: ImportOptions): void {
  const { restoreDatabase = '' } = options
  const name = restoreDatabase === '' ? source.name : restoreDatabase
  if (findDatabase(imported.data, name) !== undefined) {
    throw new SnapError('E_TARGET_EXISTS', `database ${name} already exists`)
  }
  const database = copyDatabase(source, name, options)
  checkName(name, 'database')
  for (const policy of database.retentionPolicies) checkName(policy.name, 'retention policy')
  renumber(imported, database)
  imported.data.databases.push(database)
  imported.newDatabases.push(name)
}

/**
 * Imports databases of the store `other` into a copy of `target`, as influxd does when a metastore is
 * uploaded: fresh group and shard ids above the highest ever given, owners cleared, a single imported
 * policy made the default, subscriptions kept, continuous queries and users left behind. Neither
 * argument is changed. Stricter than influxd in one way: names that cannot name a directory are refused.
 * @throws SnapError `E_TARGET_EXISTS` if a database is there already, `E_NOTHING_MATCHED` if the other
 * store has no such database or policy, `E_USAGE` for an unusable name
 */
export function importData(target: Data, other: Data, options: ImportOptions = {}): Imported {
  const imported: Imported = {
    data: clone(DataSchema, target),
    shardIds: new Map(),
    deletedShardIds: new Set(),
    newDatabases: [],
  }
  const { backupDatabase = '' } = options
  if (backupDatabase === '') {
    for (const source of other.databases) {
      if (source.name !== INTERNAL_DATABASE) importDatabase(imported, source, {})
    }
    return imported
  }
  const source = findDatabase(other, backupDatabase)
  if (source === undefined) {
    throw new SnapError('E_NOTHING_MATCHED', `imported metastore has no database ${backupDatabase}`)
  }
  importDatabase(imported, source, options)
  return imported
}
