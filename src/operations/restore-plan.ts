import { SnapError } from '../errors.ts'
import {
  type Data,
  encodeData,
  findDatabase,
  findRetentionPolicy,
  type ListedShard,
  minimalData,
} from '../meta/index.ts'
import type { ExactRange } from './exact-range.ts'
import type { ShardName } from './inspect.ts'
import { overlaps } from './plan-shards.ts'
import { placeOf, type Restorable, type RestorableShard } from './restorable.ts'
import { checkNames, newNameOf, type Renames } from './restore-names.ts'
import { changePolicies, type PolicyChanges, type PolicyWish } from './restore-policies.ts'
import { checkSelection, type Selection, selectDatabases, selectShards } from './selection.ts'

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
export interface RestorePlan extends PolicyChanges {
  readonly databases: readonly DatabasePlan[]
  readonly expiring: readonly ExpiringShard[]
}

/** What is restored otherwise than it is in the backup. */
export interface PlanWish extends Renames, PolicyWish {
  /** Only points of these times; shards that can have none are left out. */
  readonly range?: ExactRange | undefined
}

/**
 * Plans the restore of a selection under new names.
 * @throws SnapError `E_NOTHING_MATCHED` if the selection is not in the backup, `E_USAGE` if names and selection do not go together
 */
export function planRestore(backup: Restorable, selection: Selection, wish: PlanWish): RestorePlan {
  const { data } = backup
  const { range } = wish
  checkSelection(data, selection, placeOf(backup))
  const selected = selectShards(data, selection).filter((shard) => overlaps(shard, range))
  const archives = new Map(backup.shards.map((shard) => [shard.shardId, shard]))
  const holding = new Set(selected.map(({ database }) => database))
  const names = databasesToRestore(backup, selection).filter(
    (name) => range === undefined || holding.has(name),
  )
  checkNames(names, selection, wish)
  const planned = names.map((database) =>
    planDatabase({ database, data, selection, wish, archives, selected }),
  )
  const databases = planned.map(({ plan }) => plan)
  const durations = planned.flatMap(({ changes }) => changes.durations)
  const subscriptions = planned.flatMap(({ changes }) => changes.subscriptions)
  if (databases.length === 0) {
    throw new SnapError('E_NOTHING_MATCHED', `${placeOf(backup)} holds nothing of this selection`)
  }
  const expiring = expiringShards(data, selected, { archives, duration: wish.duration })
  return { databases, expiring, durations, subscriptions }
}

/** Databases with archives, and empty ones if the backup was of everything: then their definition is all there is of them. */
function databasesToRestore(backup: Restorable, selection: Selection): string[] {
  const { data, shards } = backup
  const withArchives = new Set(shards.map(({ database }) => database))
  const everything = isOfEverything(backup)
  const selected = new Set(selectDatabases(data, selection))
  const areNamed = (selection.databases ?? []).length > 0
  const { retentionPolicy, shards: only = [] } = selection
  const wanted = data.databases.filter((database) => {
    const { name } = database
    if (!selected.has(name)) return false
    if (retentionPolicy !== undefined && !findRetentionPolicy(database, retentionPolicy))
      return false
    const hasShards = selectShards(data, { ...selection, databases: [name] }).length > 0
    if (only.length > 0) return hasShards
    return withArchives.has(name) || (!hasShards && (everything || areNamed))
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

interface DatabaseToPlan {
  readonly database: string
  readonly data: Data
  readonly selection: Selection
  readonly wish: PlanWish
  readonly archives: ReadonlyMap<bigint, RestorableShard>
  readonly selected: readonly ListedShard[]
}

function planDatabase(input: DatabaseToPlan): {
  readonly plan: DatabasePlan
  readonly changes: PolicyChanges
} {
  const { database, data, selection, wish, archives, selected } = input
  const { retentionPolicy } = selection
  const ids = selected.filter((listed) => listed.database === database).map(({ shard }) => shard.id)
  const shards = ids.flatMap((id) => archives.get(id) ?? [])
  const isPart = (selection.shards ?? []).length > 0 || wish.range !== undefined
  const meta = minimalData(data, {
    database,
    retentionPolicy,
    ...(isPart && { shards: new Set(ids) }),
  })
  const { newRetentionPolicy } = wish
  const names = { newDatabase: newNameOf(wish, database), newRetentionPolicy }
  const changes = changePolicies(meta, names, wish)
  const metaBytes = encodeData(meta)
  return { plan: { database, ...names, retentionPolicy, metaBytes, shards }, changes }
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000n

function expiringShards(
  data: Data,
  selected: readonly ListedShard[],
  {
    archives,
    duration: changed,
  }: {
    readonly archives: ReadonlyMap<bigint, RestorableShard>
    readonly duration: bigint | undefined
  },
): ExpiringShard[] {
  const now = BigInt(Date.now()) * NANOSECONDS_PER_MILLISECOND
  return selected.flatMap(({ database, retentionPolicy, group, shard }) => {
    const found = findDatabase(data, database)
    const policy = found && findRetentionPolicy(found, retentionPolicy)
    const duration = changed ?? policy?.duration ?? 0n
    const expires = group.endTime + duration
    const isLate = duration > 0n && expires < now && archives.has(shard.id)
    return isLate ? [{ database, retentionPolicy, shardId: shard.id, expires }] : []
  })
}
