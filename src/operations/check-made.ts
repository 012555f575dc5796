import {
  type Data,
  type DatabaseInfo,
  decodeData,
  emptyData,
  findDatabase,
  findRetentionPolicy,
  importData,
  type RetentionPolicyInfo,
} from '../meta/index.ts'
import type { DatabasePlan } from './restore-plan.ts'

/** A database as a server says that it made it. */
export interface MadeMeta {
  /** Its metastore afterwards. */
  readonly data: Data
  /** From the shard ids of the backup to those it gave. */
  readonly ids: ReadonlyMap<bigint, bigint>
}

/**
 * Says in what a database differs from what the server was told to make, or returns undefined: neither the upload nor the
 * map of ids has a check sum. More groups than were sent are no difference, somebody may write already.
 */
export function differenceInMade(plan: DatabasePlan, made: MadeMeta): string | undefined {
  const expected = expectedDatabase(plan)
  const got = findDatabase(made.data, plan.newDatabase)
  if (got === undefined) return 'it is not there'
  const names = [expected, got].map(({ defaultRetentionPolicy }) => defaultRetentionPolicy)
  if (names[0] !== names[1]) return `its default policy is ${names[1]}, expected ${names[0]}`
  for (const policy of expected.retentionPolicies) {
    const difference = differenceInPolicy(policy, got, made.ids)
    if (difference !== undefined) return `policy ${policy.name}: ${difference}`
  }
  return undefined
}

/** The database under its new names, with the shard ids of the backup. */
function expectedDatabase(plan: DatabasePlan): DatabaseInfo {
  const { data, shardIds } = importData(emptyData(), decodeData(plan.metaBytes), {
    backupDatabase: plan.database,
    restoreDatabase: plan.newDatabase,
    backupRetentionPolicy: plan.retentionPolicy,
    restoreRetentionPolicy: plan.newRetentionPolicy,
  })
  const oldIds = new Map([...shardIds].map(([from, to]) => [to, from]))
  const [database] = data.databases
  if (database === undefined) throw new TypeError(`no database ${plan.database} in its own plan`)
  for (const { shardGroups } of database.retentionPolicies) {
    for (const shard of shardGroups.flatMap(({ shards }) => shards)) {
      shard.id = oldIds.get(shard.id) ?? shard.id
    }
  }
  return database
}

function differenceInPolicy(
  expected: RetentionPolicyInfo,
  database: DatabaseInfo,
  ids: MadeMeta['ids'],
): string | undefined {
  const got = findRetentionPolicy(database, expected.name)
  if (got === undefined) return 'it is not there'
  const [was, is] = [expected, got].map(settingsOf)
  if (was !== is) return `it is ${is}, expected ${was}`
  for (const { startTime, endTime, shards } of expected.shardGroups) {
    const group = got.shardGroups.find(
      (made) => made.startTime === startTime && made.endTime === endTime,
    )
    if (group === undefined) return `no shard group from ${startTime} to ${endTime}`
    const there = new Set(group.shards.map(({ id }) => id))
    const lost = shards.find(({ id }) => !there.has(ids.get(id) ?? -1n))
    if (lost !== undefined) return `shard ${lost.id} is not mapped into its group`
  }
  return undefined
}

function settingsOf({
  duration,
  shardGroupDuration,
  replicaN,
  subscriptions,
}: RetentionPolicyInfo): string {
  const others = subscriptions.map(({ name, mode, destinations }) => [name, mode, ...destinations])
  return JSON.stringify([`${duration}`, `${shardGroupDuration}`, replicaN, ...others])
}
