import {
  expandNames,
  findDatabase,
  findRetentionPolicy,
  INTERNAL_DATABASE,
  isDeleted,
  isPattern,
  matchesName,
} from '../meta/index.ts'
import type { BackupSet } from './backup-set.ts'
import type { Catalog } from './catalog.ts'

/** What is wanted out of a set; a field left out means everything. */
export interface Wanted {
  /** A name, or a pattern for those of a set that it matches. */
  readonly database?: string | undefined
  /** Databases that a pattern does not mean. */
  readonly except?: readonly string[] | undefined
  readonly retentionPolicy?: string | undefined
  readonly shardId?: bigint | undefined
}

/** True if a backup was asked to take all of the database, policy and shard that are named. */
export function inScope(
  { selection }: Pick<Catalog, 'selection'>,
  { database, retentionPolicy, shardId }: Wanted,
): boolean {
  const { databases = [], excludeDatabases = [INTERNAL_DATABASE], shardIds = [] } = selection
  if (databases.length > 0) {
    if (database === undefined || !databases.includes(database)) return false
  } else if (
    database !== undefined &&
    excludeDatabases.some((pattern) => matchesName(pattern, database))
  ) {
    return false
  }
  if ((selection.retentionPolicy ?? retentionPolicy) !== retentionPolicy) return false
  return shardIds.length === 0 || (shardId !== undefined && shardIds.includes(shardId))
}

/** True if a set holds an archive of something that is wanted, be the archive there or missing. */
export function holdsPart(set: BackupSet, wanted: Wanted): boolean {
  return [...set.entries, ...set.missing].some(
    ({ database, policy, shardId }) =>
      (wanted.database === undefined || matchesName(wanted.database, database)) &&
      (wanted.retentionPolicy ?? policy) === policy &&
      (wanted.shardId ?? shardId) === shardId,
  )
}

/** The groups of a database or policy; undefined if the metastore has no such thing. */
function groupsOf({ meta }: BackupSet, { database = '', retentionPolicy }: Wanted) {
  const found = findDatabase(meta, database)
  if (found === undefined) return undefined
  if (retentionPolicy === undefined) {
    return found.retentionPolicies.flatMap(({ shardGroups }) => shardGroups)
  }
  return findRetentionPolicy(found, retentionPolicy)?.shardGroups
}

/**
 * True if a set holds all of what is wanted, as far as it was there when the set was made. A set of ours was asked to
 * take it; when nothing is named, what the backup was asked to take is wanted. Stock sets do not say what they
 * were asked to take: an archive of what is wanted is enough, as for influxd, or a metastore that says that it is empty.
 */
export function holdsWhole(set: BackupSet, wanted: Wanted): boolean {
  const { database, retentionPolicy, shardId } = wanted
  if (shardId !== undefined) return holdsPart(set, wanted)
  if (database === undefined) return retentionPolicy === undefined || holdsPart(set, wanted)
  const names = set.meta.databases.map(({ name }) => name)
  if (isPattern(database) && !names.includes(database)) {
    const except = new Set(expandNames(wanted.except ?? [INTERNAL_DATABASE], names))
    const meant = expandNames([database], names).filter((name) => !except.has(name))
    return meant.length > 0 && meant.every((name) => holdsWhole(set, { ...wanted, database: name }))
  }
  const groups = groupsOf(set, wanted)
  if (groups === undefined) return false
  if (set.catalog !== undefined) return inScope(set.catalog, wanted)
  return holdsPart(set, wanted) || groups.every(isDeleted)
}
