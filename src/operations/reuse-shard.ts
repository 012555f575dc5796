import type { ShardEvidence } from '../portable/catalog.ts'
import type { ReusableShard } from '../portable/reusable.ts'
import type { FetchOptions } from './fetch-shard.ts'
import type { Found, StoredShard } from './fetched-shards.ts'
import type { ShardName } from './inspect.ts'
import type { ReusePlan } from './plan-reuse.ts'
import { noProgress, type Progress } from './progress.ts'
import { readContent } from './read-content.ts'
import type { SetWriter } from './set-writer.ts'
import { evidenceOf } from './shard-evidence.ts'

/** Where shards go, and what is known of them. */
export interface Output {
  readonly set: SetWriter
  readonly found: Found
}

/** How shards are taken from older sets. */
export interface ReuseFetch extends Pick<FetchOptions, 'source' | 'throttle'> {
  /** Which shards are in the archives of older sets. */
  readonly reuse?: ReusePlan | undefined
  /** The server's clock before the run, nanoseconds since the epoch, if it could be asked. */
  readonly clock?: bigint | undefined
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** Takes an older archive for a shard that is, or after a look at its files proves to be, as it was; false if there is none. */
export async function reuseUnchanged(
  { set, found }: Output,
  shard: ShardName,
  fetch: ReuseFetch,
): Promise<boolean> {
  const { shardId } = shard
  const { progress = noProgress, reuse: plan, signal } = fetch
  const known = plan?.unchanged.get(shardId)
  if (known !== undefined) {
    const { shard: older, complete } = known
    const { evidence } = older
    const reused = await reuseArchive(set, older, { complete, evidence, signal })
    if (reused !== undefined) found.shards.push(reused)
    return reused !== undefined
  }
  const older = plan?.compare.has(shardId) ? plan.candidates.get(shardId) : undefined
  if (older === undefined) return false
  const onBytes = (bytes: number) => progress({ type: 'shardProgress', shard, bytes })
  const { files, isComplete, ...read } = await readContent(shard, { ...fetch, onBytes })
  found.fetchedBytes += read.bytes
  const evidence = evidenceOf(files, { clock: fetch.clock, state: read.state })
  if (evidence.content !== older.evidence.content) return false
  const reused = await reuseArchive(set, older, { complete: isComplete, evidence, signal })
  if (reused === undefined) return false
  found.files?.set(shardId, files)
  found.shards.push(reused)
  return true
}

/** Names an archive of an older set, or takes over one that a run which died had finished; undefined if that is damaged. */
export async function reuseArchive(
  set: SetWriter,
  older: ReusableShard,
  { signal, ...now }: Proof,
): Promise<StoredShard | undefined> {
  const { shardId, database, retentionPolicy, archive, tarSize: bytes, files, data } = older
  const stored = files.find(({ name }) => name === archive)?.size ?? 0
  const names = { shardId, database, retentionPolicy }
  const shard = { ...names, bytes, stored, ...(data && { data }), ...now }
  if (older.isPending !== true) {
    set.reuseShard(older)
    return { ...shard, reused: archive }
  }
  return (await set.takeOver(older, signal)) ? { ...shard, resumed: true } : undefined
}

/** What is known now of an archive that is to be used again. */
interface Proof {
  readonly complete: boolean
  readonly evidence: ShardEvidence
  readonly signal: AbortSignal
}
