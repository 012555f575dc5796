import { SnapError } from '../errors.ts'
import {
  type Data,
  encodeData,
  findDatabase,
  findRetentionPolicy,
  type ListedShard,
  minimalData,
} from '../meta/index.ts'
import type { ShardName } from './inspect.ts'
import { placeOf, type Restorable, type RestorableShard } from './restorable.ts'
import { checkSelection, type Selection, selectDatabases, selectShards } from './selection.ts'

/** New names for what is restored. */
export interface Renames {
  readonly newDatabase?: string | undefined
  readonly newRetentionPolicy?: string | undefined
}

/** One database to be restored. */
export interface DatabasePlan {
  readonly database: string
  readonly newDatabase: string
  /** The one policy that is restored; undefined for all. */
  readonly retentionPolicy: string | undefined
  readonly newRetentionPolicy: string | undefined
  /** The smallest metastore that will do: no users, no deleted groups, nothing of other databases. */
  readonly metaBytes: Uint8Array
  readonly shards: readonly RestorableShard[]
}

/** A shard whose data the target will drop at its next retention check. */
export interface ExpiringShard extends ShardName {
  /** When its policy lets go of it, nanoseconds since the epoch. */
  readonly expires: bigint
}

/** What a restore will do. */
export interface RestorePlan {
  readonly databases: readonly DatabasePlan[]
  readonly expiring: readonly ExpiringShard[]
}

/**
 * Plans the restore of a selection under new names.
 * @throws SnapError `E_NOTHING_MATCHED` if the selection is not in the backup, `E_USAGE` if names and selection do not go together
 */
export function planRestore(
  backup: Restorable,
  selection: Selection,
  renames: Renames,
): RestorePlan {
  const { data } = backup
  checkSelection(data, selection, placeOf(backup))
  const selected = selectShards(data, selection)
  const archives = new Map(backup.shards.map((shard) => [shard.shardId, shard]))
  const names = databasesToRestore(backup, selection)
  checkNames(names, selection, renames)
  const databases = names.map((database) =>
    planDatabase({ database, data, selection, renames, archives, selected }),
  )
  if (databases.length === 0) {
    throw new SnapError('E_NOTHING_MATCHED', `${placeOf(backup)} holds nothing of this selection`)
  }
  return { databases, expiring: expiringShards(data, selected, archives) }
}

/** Databases with archives, and empty ones if the backup was of everything: then their definition is all there is of them. */
function databasesToRestore(backup: Restorable, selection: Selection): string[] {
  const { data, shards } = backup
  const withArchives = new Set(shards.map(({ database }) => database))
  const named = new Set(selection.databases ?? [])
  const everything = isOfEverything(backup)
  const selected = new Set(selectDatabases(data, selection))
  const { retentionPolicy, shards: only = [] } = selection
  const wanted = data.databases.filter((database) => {
    const { name } = database
    if (!selected.has(name)) return false
    if (retentionPolicy !== undefined && !findRetentionPolicy(database, retentionPolicy))
      return false
    const hasShards = selectShards(data, { ...selection, databases: [name] }).length > 0
    if (only.length > 0) return hasShards
    return withArchives.has(name) || (!hasShards && (everything || named.has(name)))
  })
  return wanted.map(({ name }) => name)
}

function isOfEverything({ data, shards, backup }: Restorable): boolean {
  if ('catalog' in backup && backup.catalog !== undefined) {
    const { databases = [], retentionPolicy, shardIds = [], since } = backup.catalog.selection
    return databases.length + shardIds.length === 0 && (retentionPolicy ?? since) === undefined
  }
  const archives = new Set(shards.map(({ shardId }) => shardId))
  return selectShards(data, {}).every(({ shard }) => archives.has(shard.id))
}

function checkNames(
  names: readonly string[],
  { retentionPolicy }: Selection,
  renames: Renames,
): void {
  const { newDatabase, newRetentionPolicy } = renames
  if (newDatabase !== undefined && names.length > 1) {
    throw new SnapError(
      'E_USAGE',
      `--newdb ${newDatabase} is one name for ${names.length} databases`,
      {
        hint: `say which with --db: ${names.join(', ')}`,
      },
    )
  }
  if (newRetentionPolicy !== undefined && retentionPolicy === undefined) {
    throw new SnapError('E_USAGE', `--newrp ${newRetentionPolicy} needs --rp`, {
      hint: 'say which policy gets the new name',
    })
  }
}

interface DatabaseToPlan {
  readonly database: string
  readonly data: Data
  readonly selection: Selection
  readonly renames: Renames
  readonly archives: ReadonlyMap<bigint, RestorableShard>
  readonly selected: readonly ListedShard[]
}

function planDatabase(input: DatabaseToPlan): DatabasePlan {
  const { database, data, selection, renames, archives, selected } = input
  const { retentionPolicy } = selection
  const shards = selected
    .filter((listed) => listed.database === database)
    .flatMap(({ shard }) => archives.get(shard.id) ?? [])
  const only = selection.shards ?? []
  const meta = minimalData(data, {
    database,
    retentionPolicy,
    ...(only.length > 0 && { shards: new Set(only) }),
  })
  return {
    database,
    newDatabase: renames.newDatabase ?? database,
    retentionPolicy,
    newRetentionPolicy: renames.newRetentionPolicy,
    metaBytes: encodeData(meta),
    shards,
  }
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000n

function expiringShards(
  data: Data,
  selected: readonly ListedShard[],
  archives: ReadonlyMap<bigint, RestorableShard>,
): ExpiringShard[] {
  const now = BigInt(Date.now()) * NANOSECONDS_PER_MILLISECOND
  return selected.flatMap(({ database, retentionPolicy, group, shard }) => {
    const found = findDatabase(data, database)
    const duration = (found && findRetentionPolicy(found, retentionPolicy))?.duration ?? 0n
    const expires = group.endTime + duration
    const isLate = duration > 0n && expires < now && archives.has(shard.id)
    return isLate ? [{ database, retentionPolicy, shardId: shard.id, expires }] : []
  })
}
