import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import type { PolicyName } from '../formats/points.ts'
import {
  type Data,
  findDatabase,
  findRetentionPolicy,
  type ListedShard,
  type RetentionPolicyInfo,
} from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import { describeShard } from './inspect.ts'
import { shardName } from './plan-shards.ts'
import type { Progress } from './progress.ts'
import { alterDuration, type ChangedDuration, plannedDuration } from './restore-policies.ts'
import type { OpenServer } from './server.ts'

/** A stored shard, and the policy that it goes to. */
export interface StoredInto {
  readonly shard: ListedShard
  readonly into: PolicyName
}

/** What the target of a merge is checked with. */
export interface PolicyCheck {
  /** The server's metastore. */
  readonly data: Data
  readonly server: string
  /** How long policies may be made to keep points, ns, 0 for ever; left out, they are not changed. */
  readonly policyDuration?: bigint | undefined
}

const NANOSECONDS_PER_MS = 1_000_000n

/**
 * Checks that policies are there and keep what they are to get. Returns those that have to keep points longer first.
 * @throws SnapError `E_DESTINATION`, `E_USAGE` for a duration that is too short for its policy
 */
export function checkPolicies(
  stored: readonly StoredInto[],
  { data, server, policyDuration }: PolicyCheck,
): ChangedDuration[] {
  const changes = new Map<RetentionPolicyInfo, ChangedDuration>()
  for (const { shard, into } of stored) {
    const database = findDatabase(data, into.database)
    const policy = database && findRetentionPolicy(database, into.retentionPolicy)
    if (policy === undefined) throw notThere(server, into, database !== undefined)
    if (isKept(shard, policy.duration)) continue
    if (policyDuration === undefined || !isKept(shard, policyDuration)) throw tooOld(shard, into)
    changes.set(policy, plannedDuration(policy, into, policyDuration))
  }
  return [...changes.values()]
}

function isKept({ group }: ListedShard, duration: bigint): boolean {
  return duration === 0n || group.endTime + duration > BigInt(Date.now()) * NANOSECONDS_PER_MS
}

/** Where policies are changed. */
export interface PolicyPlace {
  readonly server: Pick<OpenServer, 'directory' | 'name'>
  /** Of a server on the network. */
  readonly http: HttpClient | undefined
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Makes policies keep their points longer, and says how each is set back: before, in case that this run ends early. */
export async function lengthenPolicies(
  changes: readonly ChangedDuration[],
  { server, http, progress, signal }: PolicyPlace,
): Promise<void> {
  for (const { statement, is, ...names } of changes) {
    const policy = `${names.database}.${names.retentionPolicy}`
    const message = `policy ${policy} keeps points longer from now on; to set it back: ${statement}`
    progress({ type: 'note', level: 'warning', message })
    await server.directory?.changeMetadata((data) => {
      const database = findDatabase(data, names.database)
      const found = database && findRetentionPolicy(database, names.retentionPolicy)
      if (found !== undefined) found.duration = is
    })
    await atDestination(async () => http?.query(alterDuration(names, is), { signal }))
  }
}

function notThere(server: string, into: PolicyName, hasDatabase: boolean): SnapError {
  const { database, retentionPolicy } = into
  const message = hasDatabase
    ? `${server}: database ${JSON.stringify(database)} has no retention policy ${JSON.stringify(retentionPolicy)}`
    : `${server} has no database ${JSON.stringify(database)}`
  return new SnapError('E_DESTINATION', message, {
    hint: hasDatabase
      ? 'make the policy first, or choose another one with --rp and --newrp'
      : 'restore without --merge makes it',
  })
}

function tooOld(shard: ListedShard, into: PolicyName): SnapError {
  const policy = `${into.database}.${into.retentionPolicy}`
  return new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(shardName(shard))} is older than policy ${policy} keeps points: the server would refuse or drop them`,
    {
      hint: 'let the policy keep them longer (--rp-duration), or merge into another one (--newrp)',
    },
  )
}
