import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { describeShard, type InspectedFile, type ShardName } from './inspect.ts'
import { differenceFrom, readShardStats, type ShardStats, totalsOf } from './shard-stats.ts'

/** A shard that was fetched from a server that does not say itself whether it is complete. */
export interface ShardToConfirm {
  readonly shard: ShardName
  readonly files: readonly CountedFile[]
}

type CountedFile = Pick<InspectedFile, 'kind' | 'size'>

/** How shards are confirmed. */
export interface ConfirmOptions {
  readonly http: HttpClient
  /** Fetches a shard once more and returns its files; undefined if it is left out after all. */
  readonly refetch: (shard: ShardName) => Promise<readonly CountedFile[] | undefined>
  /** Told of a shard that cannot be what the server has. */
  readonly onCut: (shard: ShardName, error: SnapError) => void
  readonly signal: AbortSignal
}

/**
 * Compares fetched shards with what the server counts of them, and fetches those that differ once more. Returns the ids
 * of the shards that are complete. One that still differs while the server's figures stand still was cut: that is for
 * `onCut`. One whose figures move is written to, and stays unconfirmed.
 */
export async function confirmShards(
  shards: readonly ShardToConfirm[],
  { http, refetch, onCut, signal }: ConfirmOptions,
): Promise<ReadonlySet<bigint>> {
  const complete = new Set<bigint>()
  const first = await readShardStats(http, signal)
  for (const { shard, files } of shards) {
    const { shardId } = shard
    if (differenceFrom(first.get(shardId), totalsOf(files)) === undefined) {
      complete.add(shardId)
      continue
    }
    const before = (await readShardStats(http, signal)).get(shardId)
    const again = await refetch(shard)
    if (again === undefined) continue
    const stats = (await readShardStats(http, signal)).get(shardId)
    const difference = differenceFrom(stats, totalsOf(again))
    if (difference === undefined) complete.add(shardId)
    else if (isStill(before, stats)) onCut(shard, cutError(shard, difference))
  }
  return complete
}

/** Figures that did not move around a fetch are those the fetch should have shown. */
function isStill(before: ShardStats | undefined, after: ShardStats | undefined): boolean {
  if (before === undefined || after === undefined) return false
  const { files, diskBytes, unflushed } = after
  return before.files === files && before.diskBytes === diskBytes && unflushed === 0
}

function cutError(shard: ShardName, difference: string): SnapError {
  const message = `shard ${describeShard(shard)} came incomplete: ${difference}`
  return new SnapError('E_SOURCE_DAMAGED', message, {
    hint: 'the server left files out without a word: look at its log, and run the backup again',
  })
}
