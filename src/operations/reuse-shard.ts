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

/** Names an older archive for a shard that is, or after a look at its files proves to be, as it was. */
export async function reuseUnchanged(
  { set, found }: Output,
  shard: ShardName,
  fetch: ReuseFetch,
): Promise<boolean> {
  const { shardId } = shard
  const { progress = noProgress, reuse: plan } = fetch
  const known = plan?.unchanged.get(shardId)
  const older = known?.shard ?? plan?.candidates.get(shardId)
  if (older === undefined) return false
  if (known !== undefined) {
    const { evidence } = older
    found.shards.push(reuseArchive(set, older, { complete: known.complete, evidence }))
  } else {
    if (plan?.compare.has(shardId) !== true) return false
    const onBytes = (bytes: number) => progress({ type: 'shardProgress', shard, bytes })
    const { files, isComplete, ...read } = await readContent(shard, { ...fetch, onBytes })
    found.fetchedBytes += read.bytes
    const evidence = evidenceOf(files, { clock: fetch.clock, state: read.state })
    if (evidence.content !== older.evidence.content) return false
    found.files.set(shardId, files)
    found.shards.push(reuseArchive(set, older, { complete: isComplete, evidence }))
  }
  return true
}

export function reuseArchive(
  set: SetWriter,
  older: ReusableShard,
  now: { readonly complete: boolean; readonly evidence: ShardEvidence },
): StoredShard {
  set.reuseShard(older)
  const { shardId, database, retentionPolicy, archive: reused, tarSize: bytes, files } = older
  const stored = files.find(({ name }) => name === reused)?.size ?? 0
  return { shardId, database, retentionPolicy, bytes, stored, reused, ...now }
}
