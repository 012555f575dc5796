import { clone, create } from '@bufbuild/protobuf'
import type {
  Data,
  DatabaseInfo,
  RetentionPolicyInfo,
  ShardGroupInfo,
  ShardInfo,
} from './meta_pb.gen.ts'
import { DatabaseInfoSchema, DataSchema } from './meta_pb.gen.ts'

/** One shard with the names and times of where it belongs. */
export interface ListedShard {
  readonly database: string
  readonly retentionPolicy: string
  /** Times in nanoseconds since the epoch: the shard holds points of [startTime, endTime). */
  readonly group: ShardGroupInfo
  readonly shard: ShardInfo
  /** True if retention or a DROP marked the group as deleted: its files may be gone already. */
  readonly deleted: boolean
}

/** What of a store is wanted. A field left out selects everything. */
export interface MetaSelection {
  readonly database?: string | undefined
  readonly retentionPolicy?: string | undefined
  /** Shard ids; groups that hold none of them are left out. */
  readonly shards?: ReadonlySet<bigint> | undefined
  /** Databases that are not wanted, unless `database` names one. */
  readonly excludeDatabases?: readonly string[] | undefined
}

/** Returns the database of that name. */
export function findDatabase(data: Data, name: string): DatabaseInfo | undefined {
  return data.databases.find((database) => database.name === name)
}

/** Returns the retention policy of that name; an empty name means the database's default policy. */
export function findRetentionPolicy(
  database: DatabaseInfo,
  name: string,
): RetentionPolicyInfo | undefined {
  const wanted = name === '' ? database.defaultRetentionPolicy : name
  if (wanted === '') return undefined
  return database.retentionPolicies.find((policy) => policy.name === wanted)
}

/** True if the group is marked as deleted. */
export function isDeleted(group: ShardGroupInfo): boolean {
  return group.deletedAt !== 0n
}

/** Lists the shards of a store in its order; those of deleted groups only if asked for. */
export function listShards(
  data: Data,
  { includeDeleted = false }: { readonly includeDeleted?: boolean } = {},
): ListedShard[] {
  const listed: ListedShard[] = []
  for (const { name: database, retentionPolicies } of data.databases) {
    for (const { name: retentionPolicy, shardGroups } of retentionPolicies) {
      for (const group of shardGroups) {
        const deleted = isDeleted(group)
        if (deleted && !includeDeleted) continue
        for (const shard of group.shards) {
          listed.push({ database, retentionPolicy, group, shard, deleted })
        }
      }
    }
  }
  return listed
}

/** Returns a copy of `data` without the databases of these names. */
export function withoutDatabases(data: Data, names: readonly string[]): Data {
  const copy = clone(DataSchema, data)
  copy.databases = copy.databases.filter(({ name }) => !names.includes(name))
  return copy
}

function wantsDatabase(selection: MetaSelection, name: string): boolean {
  if (selection.database !== undefined) return selection.database === name
  return selection.excludeDatabases?.includes(name) !== true
}

function wantsGroup(selection: MetaSelection, group: ShardGroupInfo): boolean {
  if (isDeleted(group)) return false
  const { shards } = selection
  return shards === undefined || group.shards.some((shard) => shards.has(shard.id))
}

/**
 * Returns a copy of `data` cut down to what a restore needs: the selected databases and policies without
 * deleted groups, no users and no cluster nodes. Small enough for servers that take a metastore
 * from a single read, and it keeps password hashes off the wire.
 */
export function minimalData(
  data: Data,
  selection: MetaSelection,
  { continuousQueries = false }: { readonly continuousQueries?: boolean } = {},
): Data {
  const { term, index, clusterId, maxNodeId, maxShardGroupId, maxShardId } = data
  const wanted = data.databases.filter(({ name }) => wantsDatabase(selection, name))
  const databases = wanted.map((source) => {
    const database = clone(DatabaseInfoSchema, source)
    if (!continuousQueries) database.continuousQueries = []
    database.retentionPolicies = database.retentionPolicies.filter(
      ({ name }) => selection.retentionPolicy === undefined || selection.retentionPolicy === name,
    )
    for (const policy of database.retentionPolicies) {
      policy.shardGroups = policy.shardGroups.filter((group) => wantsGroup(selection, group))
    }
    return database
  })
  return create(DataSchema, {
    ...{ term, index, clusterId, maxNodeId, maxShardGroupId, maxShardId },
    databases,
  })
}
