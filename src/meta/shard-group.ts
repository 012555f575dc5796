import { create } from '@bufbuild/protobuf'
import { SnapError } from '../errors.ts'
import type { Data, RetentionPolicyInfo, ShardGroupInfo } from './meta_pb.gen.ts'
import { ShardGroupInfoSchema } from './meta_pb.gen.ts'
import { findDatabase, findRetentionPolicy, isDeleted } from './select.ts'

/** Nanoseconds from the first of January of year 1, at which Go begins to count, to 1970. */
const GO_ZERO = 62_135_596_800n * 1_000_000_000n
/** The first and the last time of a point. */
const MIN_TIME = -(2n ** 63n) + 2n
const MAX_TIME = 2n ** 63n - 2n
const HOUR = 3_600_000_000_000n
const DAY = 24n * HOUR

/**
 * Where a group begins. The first of all, which begins before the first time that 64 bits can say, wraps in the metastore to a
 * time after its end.
 */
export function startOfGroup({ startTime, endTime }: ShardGroupInfo): bigint {
  return startTime > endTime ? MIN_TIME : startTime
}

/** Where a group ends: one that was truncated takes no points after that. */
export function endOfGroup({ endTime, truncatedAt }: ShardGroupInfo): bigint {
  return truncatedAt > 0n && truncatedAt < endTime ? truncatedAt : endTime
}

/** The order in which influxd looks at groups: it takes the one that ends first, of those the one that begins first. */
export function compareGroups(a: ShardGroupInfo, b: ShardGroupInfo): number {
  const order = endOfGroup(a) - endOfGroup(b) || startOfGroup(a) - startOfGroup(b)
  return order < 0n ? -1 : order > 0n ? 1 : 0
}

/**
 * Adds the group with one shard that influxd makes for a point at `time`, in place, and cuts it where it would overlap others,
 * as influxd does from 1.12. No group of the policy may hold the time yet.
 * @throws SnapError `E_DESTINATION` if there is no such policy
 */
export function addShardGroup(
  data: Data,
  { database, retentionPolicy }: { readonly database: string; readonly retentionPolicy: string },
  time: bigint,
): ShardGroupInfo {
  const found = findDatabase(data, database)
  const policy = found && findRetentionPolicy(found, retentionPolicy)
  if (policy === undefined) {
    throw new SnapError('E_DESTINATION', `there is no policy ${database}.${retentionPolicy}`)
  }
  data.maxShardGroupId += 1n
  data.maxShardId += 1n
  const group = create(ShardGroupInfoSchema, {
    ...{ id: data.maxShardGroupId, ...boundsOf(policy, time), deletedAt: 0n },
    shards: [{ id: data.maxShardId }],
  })
  policy.shardGroups = [...policy.shardGroups, group].sort(compareGroups)
  return group
}

function boundsOf({ shardGroups, ...policy }: RetentionPolicyInfo, time: bigint) {
  const duration = policy.shardGroupDuration || usualDuration(policy.duration)
  const start = time - ((time + GO_ZERO) % duration)
  const end = start + duration
  const live = shardGroups.filter((group) => !isDeleted(group))
  const before = live.map(endOfGroup).filter((at) => at <= time)
  const after = live.map(startOfGroup).filter((at) => at > time)
  return {
    startTime: [MIN_TIME, ...before].reduce((a, b) => (a > b ? a : b), start),
    endTime: [MAX_TIME + 1n, ...after].reduce((a, b) => (a < b ? a : b), end),
  }
}

/** What influxd takes for a policy that does not say how long its groups are. */
function usualDuration(duration: bigint): bigint {
  if (duration === 0n || duration >= 180n * DAY) return 7n * DAY
  return duration >= 2n * DAY ? DAY : HOUR
}
