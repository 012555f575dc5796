import { compareGroups, endOfGroup, type ListedShard, startOfGroup } from '../meta/index.ts'
import type { ExactRange } from './exact-range.ts'
import { overlaps } from './plan-shards.ts'

/** Times of a stored shard that go into one live shard, or for which there is none yet. */
export interface MergeWindow extends ExactRange {
  readonly live: ListedShard | undefined
}

/** A shard whose time is over by so much takes writes only by way of exception, in ms. */
const COLD_AFTER_MS = 60 * 60 * 1000
const NANOSECONDS_PER_MS = 1_000_000n

/** Tells whether the time of a group is over. */
export function isCold({ endTime }: ListedShard['group']): boolean {
  return endTime < BigInt(Date.now() - COLD_AFTER_MS) * NANOSECONDS_PER_MS
}

/**
 * Returns the shards that may hold points of a range: more than one where the duration of shards was changed, and where influxd
 * made a second group because the beginning of the first one wraps. Queries read them all.
 */
export function shardsOver(range: ExactRange, live: readonly ListedShard[]): ListedShard[] {
  return live.filter((shard) => overlaps(shard, range))
}

/**
 * Cuts a range where the shards of a live policy begin and end. Of groups that overlap, as they do after the duration of shards
 * was changed, a server takes the one that ends first, of those the one that begins first.
 * @param live the shards of the policy, in any order
 */
export function cutAtGroups(range: ExactRange, live: readonly ListedShard[]): MergeWindow[] {
  const ordered = live.toSorted((a, b) => compareGroups(a.group, b.group))
  const bounds = ordered.flatMap((shard) => [startOfGroup(shard.group), endOfGroup(shard.group)])
  const starts = [range.start, ...bounds.filter((at) => at > range.start && at <= range.end)]
  const sorted = [...new Set(starts)].sort((a, b) => (a < b ? -1 : 1))
  const windows: MergeWindow[] = []
  for (const [i, start] of sorted.entries()) {
    const next = sorted[i + 1]
    const end = next === undefined ? range.end : next - 1n
    const found = ordered.find(
      (shard) => startOfGroup(shard.group) <= start && endOfGroup(shard.group) > start,
    )
    const last = windows.at(-1)
    if (last !== undefined && last.live === found) windows.splice(-1, 1, { ...last, end })
    else windows.push({ start, end, live: found })
  }
  return windows
}
