import type { ListedShard } from '../meta/index.ts'
import type { ExactRange } from './exact-range.ts'

/** Times of a stored shard that go into one live shard, or for which there is none yet. */
export interface MergeWindow extends ExactRange {
  readonly live: ListedShard | undefined
}

/** Where a live group ends: one that was truncated takes no points after that. */
function endOf({ group }: ListedShard): bigint {
  return group.truncatedAt > 0n && group.truncatedAt < group.endTime
    ? group.truncatedAt
    : group.endTime
}

/**
 * Cuts a range where the shards of a live policy begin and end. Of groups that overlap, as they do after the duration of shards
 * was changed, a server takes the one that ends first, of those the one that begins first.
 * @param live the shards of the policy, in any order
 */
export function cutAtGroups(range: ExactRange, live: readonly ListedShard[]): MergeWindow[] {
  const ordered = live.toSorted((a, b) => {
    const order = endOf(a) - endOf(b) || a.group.startTime - b.group.startTime
    return order < 0n ? -1 : order > 0n ? 1 : 0
  })
  const bounds = ordered.flatMap((shard) => [shard.group.startTime, endOf(shard)])
  const starts = [range.start, ...bounds.filter((at) => at > range.start && at <= range.end)]
  const sorted = [...new Set(starts)].sort((a, b) => (a < b ? -1 : 1))
  const windows: MergeWindow[] = []
  for (const [i, start] of sorted.entries()) {
    const next = sorted[i + 1]
    const end = next === undefined ? range.end : next - 1n
    const found = ordered.find((shard) => shard.group.startTime <= start && endOf(shard) > start)
    const last = windows.at(-1)
    if (last !== undefined && last.live === found) windows.splice(-1, 1, { ...last, end })
    else windows.push({ start, end, live: found })
  }
  return windows
}
