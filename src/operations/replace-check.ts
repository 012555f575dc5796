import { join } from 'node:path'
import { SnapError } from '../errors.ts'
import type { PolicyName } from '../formats/points.ts'
import {
  type Data,
  findDatabase,
  findRetentionPolicy,
  type ListedShard,
  listShards,
  startOfGroup,
} from '../meta/index.ts'
import { listSets } from '../portable/sets.ts'
import { LocalStore } from '../storage/index.ts'
import { atDestination } from './at-destination.ts'
import { isCold } from './merge-windows.ts'
import { openRestorable } from './open-restorable.ts'
import { wishOf } from './restorable.ts'
import type { ChangedDuration } from './restore-policies.ts'
import type { OpenServer } from './server.ts'
import { ServerSource } from './server-source.ts'

/** Which live shards are replaced, and where they are kept meanwhile. */
export interface ReplaceWish {
  readonly shards: readonly bigint[]
  /** A directory on this machine that outlives the run. */
  readonly keepIn: string
  /** The version that is written into catalogs. */
  readonly version: string
}

/** A server that is about to drop a shard by its policy shall not begin while it is replaced, in ns. */
const EXPIRY_MARGIN = 3_600_000_000_000n
const NANOSECONDS_PER_MS = 1_000_000n

/** What a merge is going to do at a server. */
export interface PlannedReplacement {
  readonly server: OpenServer
  /** What it writes to. */
  readonly into: readonly PolicyName[]
  /** Policies that will keep points longer by then. */
  readonly durations: readonly ChangedDuration[]
  readonly signal: AbortSignal
}

/**
 * Checks that shards can be replaced, or that this was begun and can be gone on with. Changes nothing.
 * @returns whether it was begun for any of them
 * @throws SnapError `E_NOTHING_MATCHED`, `E_DESTINATION`
 */
export async function checkReplaceable(
  wish: ReplaceWish,
  { server, into, durations, signal }: PlannedReplacement,
): Promise<boolean> {
  const data = await atDestination(() => server.client.metastoreBackup(signal))
  for (const { database, retentionPolicy, is } of durations) {
    const found = findDatabase(data, database)
    const policy = found && findRetentionPolicy(found, retentionPolicy)
    if (policy !== undefined) policy.duration = is
  }
  let isBegun = false
  for (const id of wish.shards) {
    const live = listShards(data).find(({ shard }) => shard.id === id)
    if (live !== undefined && !(await isHalfGone(live, server, signal))) {
      refuseShard(live, data, into)
      continue
    }
    const kept = await findKept(id, keptPath(id, wish, { server, data }), signal)
    if (kept === undefined) throw noSuchShard(id, server)
    isBegun = true
  }
  return isBegun
}

/** Tells whether influxd is dropping a shard: it removes it first and forgets it afterwards. */
export async function isHalfGone(
  { database, shard: { id } }: ListedShard,
  server: OpenServer,
  signal: AbortSignal,
): Promise<boolean> {
  const selection = { databases: [database], shards: [id] }
  const { absent } = await new ServerSource(server).readMetastore(selection, signal)
  return absent.has(id)
}

/** Returns where a shard is kept while it is replaced. */
export function keptPath(
  id: bigint,
  { keepIn }: ReplaceWish,
  { server, data }: { readonly server: OpenServer; readonly data: Data },
): string {
  const address = server.name.replaceAll(/[^A-Za-z0-9.-]/g, '-')
  return join(keepIn, `${address}-${data.clusterId}-${id}`)
}

/** Returns what a run that ended early has left of a shard. */
export async function findKept(
  id: bigint,
  path: string,
  signal: AbortSignal,
): Promise<ListedShard | undefined> {
  const store = new LocalStore(path)
  const { sets } = await listSets(store, signal)
  if (sets.length === 0) return undefined
  const wish = wishOf({ selection: { shards: [id] } })
  const { data } = await openRestorable(store, wish, { signal })
  return listShards(data).find(({ shard }) => shard.id === id)
}

/** The error of an id that the server does not know. */
export function noSuchShard(id: bigint, server: OpenServer): SnapError {
  const message = `--replace-shard ${id}: ${server.name} has no such shard`
  return new SnapError('E_NOTHING_MATCHED', message, {
    hint: 'ids of shards of the server are to the right of the arrows in the result of a merge, and in SHOW SHARDS',
  })
}

/**
 * Refuses a live shard that cannot be replaced.
 * @throws SnapError `E_DESTINATION`
 */
export function refuseShard(
  { database, retentionPolicy, group, shard }: ListedShard,
  data: Data,
  into: readonly PolicyName[],
): void {
  const no = (why: string, hint: string) =>
    new SnapError('E_DESTINATION', `--replace-shard ${shard.id}: ${why}`, { hint })
  const isOf = (policy: PolicyName) =>
    policy.database === database && policy.retentionPolicy === retentionPolicy
  if (!into.some(isOf))
    throw no(`it is of ${database}.${retentionPolicy}, which gets nothing of this backup`, HINT)
  if (!isCold(group))
    throw no('its time is not over: what is written to it meanwhile would be lost', HINT)
  const found = findDatabase(data, database)
  const duration = (found && findRetentionPolicy(found, retentionPolicy)?.duration) ?? 0n
  const oldest = BigInt(Date.now()) * NANOSECONDS_PER_MS - duration + EXPIRY_MARGIN
  if (duration > 0n && startOfGroup(group) < oldest)
    throw no(
      'its policy lets go of it soon, and would not take its points again',
      'lengthen the policy first: --rp-duration',
    )
}

const HINT = 'without --replace-shard its points go over HTTP'
