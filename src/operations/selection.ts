import { SnapError } from '../errors.ts'
import {
  type Data,
  expandNames,
  findDatabase,
  findRetentionPolicy,
  INTERNAL_DATABASE,
  isPattern,
  type ListedShard,
  listShards,
} from '../meta/index.ts'
import { namesHint } from '../suggest.ts'

/** What of a store a command works on. An empty list, or a field left out, selects everything. */
export interface Selection {
  /** Names, or patterns with `*` and `?`. */
  readonly databases?: readonly string[] | undefined
  readonly retentionPolicy?: string | undefined
  readonly shards?: readonly bigint[] | undefined
  /** Left out of everything, unless named in `databases` by its own name; patterns too. Default: `_internal`. */
  readonly excludeDatabases?: readonly string[] | undefined
}

/** Returns the names of the selected databases, in the store's order. */
export function selectDatabases(data: Data, selection: Selection): string[] {
  const { databases = [], excludeDatabases = [INTERNAL_DATABASE] } = selection
  const names = data.databases.map(({ name }) => name)
  const excluded = new Set(expandNames(excludeDatabases, names))
  const meant = databases.length > 0 ? expandNames(databases, names) : names
  return meant.filter((name) => databases.includes(name) || !excluded.has(name))
}

/** Returns a selection with the names that its patterns stand for. */
export function withNames(data: Data, selection: Selection): Selection {
  const { databases = [] } = selection
  return databases.length === 0
    ? selection
    : { ...selection, databases: selectDatabases(data, selection) }
}

/** Returns the selected shards of a store that are not deleted, in the store's order. */
export function selectShards(data: Data, selection: Selection): ListedShard[] {
  const databases = new Set(selectDatabases(data, selection))
  const { retentionPolicy, shards = [] } = selection
  return listShards(data).filter(
    (listed) =>
      databases.has(listed.database) &&
      (retentionPolicy === undefined || listed.retentionPolicy === retentionPolicy) &&
      (shards.length === 0 || shards.includes(listed.shard.id)),
  )
}

/**
 * Checks that everything a selection names is in the store.
 * @param place where the store is, for the message
 * @throws SnapError `E_NOTHING_MATCHED` naming what is not there and what is
 */
export function checkSelection(data: Data, selection: Selection, place: string): void {
  const { databases = [], retentionPolicy, shards = [] } = selection
  for (const name of databases) {
    const isName = !isPattern(name) || findDatabase(data, name) !== undefined
    if (isName) checkDatabase(data, name, selection, place)
    else checkPattern(data, name, selection, place)
  }
  if (databases.length === 0 && retentionPolicy !== undefined) {
    checkPolicyAnywhere(data, selection, place)
  }
  const known = new Set(listShards(data).map(({ shard }) => shard.id))
  for (const id of shards) {
    if (!known.has(id)) throw nothing(`shard ${id} is not in ${place}`, [...known].map(String))
  }
}

function checkDatabase(data: Data, name: string, selection: Selection, place: string): void {
  const database = findDatabase(data, name)
  if (database === undefined) {
    const names = data.databases.map((other) => other.name)
    throw nothing(`database ${JSON.stringify(name)} is not in ${place}`, names, name)
  }
  const { retentionPolicy } = selection
  if (retentionPolicy === undefined || findRetentionPolicy(database, retentionPolicy)) return
  throw nothing(
    `database ${JSON.stringify(name)} in ${place} has no retention policy ${JSON.stringify(retentionPolicy)}`,
    database.retentionPolicies.map((policy) => policy.name),
    retentionPolicy,
  )
}

function checkPattern(data: Data, pattern: string, selection: Selection, place: string): void {
  const names = data.databases.map(({ name }) => name)
  const matching = expandNames([pattern], names)
  if (matching.length === 0) throw nothing(`no database in ${place} matches ${pattern}`, names)
  if (selection.retentionPolicy === undefined) return
  checkPolicyAnywhere(data, { ...selection, databases: matching }, place)
}

function checkPolicyAnywhere(data: Data, selection: Selection, place: string): void {
  const wanted = new Set(selectDatabases(data, selection))
  const policies = data.databases
    .filter(({ name }) => wanted.has(name))
    .flatMap((database) => database.retentionPolicies.map(({ name }) => name))
  if (policies.some((name) => name === selection.retentionPolicy)) return
  throw nothing(
    `no database in ${place} has a retention policy ${JSON.stringify(selection.retentionPolicy)}`,
    [...new Set(policies)],
    selection.retentionPolicy,
  )
}

function nothing(message: string, there: readonly string[], wanted?: string): SnapError {
  return new SnapError('E_NOTHING_MATCHED', message, { hint: namesHint(there, wanted) })
}
