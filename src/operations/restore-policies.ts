import { SnapError } from '../errors.ts'
import type { PolicyName } from '../formats/points.ts'
import { type Data, type DatabaseInfo, quoteName, type RetentionPolicyInfo } from '../meta/index.ts'
import { formatInfluxDuration } from '../protocol/influx-duration.ts'

/** A policy that keeps its points for another time than the one in the backup. */
export interface ChangedDuration {
  /** Names at the target. */
  readonly database: string
  readonly retentionPolicy: string
  /** Nanoseconds; 0 is for ever. */
  readonly was: bigint
  readonly is: bigint
  /** Sets it back. */
  readonly statement: string
}

/** A subscription that stays in the backup. */
export interface LeftSubscription {
  readonly database: string
  readonly retentionPolicy: string
  readonly name: string
}

/** What of policies is not restored as it is. */
export interface PolicyWish {
  /** Nanoseconds that every policy keeps points, 0 for ever; left out, what it was. */
  readonly duration?: bigint | undefined
  /** Restore subscriptions too: the server then sends writes to wherever they point. Default false. */
  readonly subscriptions?: boolean | undefined
}

/** What was changed in policies. */
export interface PolicyChanges {
  readonly durations: readonly ChangedDuration[]
  readonly subscriptions: readonly LeftSubscription[]
}

/** Names at the target. */
interface Names {
  readonly newDatabase: string
  readonly newRetentionPolicy: string | undefined
}

/**
 * Changes the policies of a metastore that is to be uploaded, in place.
 * @throws SnapError `E_USAGE` for a duration that is shorter than the shards of a policy, which no server takes
 */
export function changePolicies(
  data: Data,
  names: Names,
  { duration, subscriptions = false }: PolicyWish,
): PolicyChanges {
  const policies = data.databases.flatMap((database) =>
    database.retentionPolicies.map((policy) => ({ database, policy })),
  )
  const left = subscriptions
    ? []
    : policies.flatMap((each) => takeSubscriptions(each.database, each.policy))
  const durations = policies.flatMap(({ policy }) =>
    duration === undefined || duration === policy.duration
      ? []
      : [changeDuration(policy, names, duration)],
  )
  return { durations, subscriptions: left }
}

function takeSubscriptions(
  database: DatabaseInfo,
  policy: RetentionPolicyInfo,
): LeftSubscription[] {
  const names = policy.subscriptions.map(({ name }) => name)
  policy.subscriptions = []
  return names.map((name) => ({ database: database.name, retentionPolicy: policy.name, name }))
}

function changeDuration(
  policy: RetentionPolicyInfo,
  { newDatabase: database, newRetentionPolicy }: Names,
  duration: bigint,
): ChangedDuration {
  const retentionPolicy = newRetentionPolicy ?? policy.name
  const changed = plannedDuration(policy, { database, retentionPolicy }, duration)
  policy.duration = duration
  return changed
}

/**
 * Says how a policy is to keep its points for another time.
 * @throws SnapError `E_USAGE` for a duration that is shorter than its shards
 */
export function plannedDuration(
  { duration: was, shardGroupDuration, name }: RetentionPolicyInfo,
  names: PolicyName,
  is: bigint,
): ChangedDuration {
  if (is > 0n && is < shardGroupDuration) {
    const shards = formatInfluxDuration(shardGroupDuration)
    throw new SnapError(
      'E_USAGE',
      `--rp-duration ${formatInfluxDuration(is)} is shorter than the shards of policy ${name}, ${shards}`,
    )
  }
  return { ...names, was, is, statement: alterDuration(names, was) }
}

/** The statement that sets how long a policy keeps points. */
export function alterDuration({ database, retentionPolicy }: PolicyName, duration: bigint): string {
  const [policy, name] = [retentionPolicy, database].map(quoteName)
  return `ALTER RETENTION POLICY ${policy} ON ${name} DURATION ${formatInfluxDuration(duration)}`
}
