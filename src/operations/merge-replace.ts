import { type ListedShard, startOfGroup } from '../meta/index.ts'
import type { BackupSource } from './backup-source.ts'
import type { MergeCounts } from './merge-points.ts'
import type { StoredInto } from './merge-policies.ts'
import type { MergeRun } from './merge-run.ts'
import { overlaps, planShards } from './plan-shards.ts'
import { type Replacement, type ReplacePlace, replaceShard } from './replace-shard.ts'

/** Begins runs of a merge. */
export interface RunsOfMerge {
  /** Only counts. */
  readonly preview: () => MergeRun
  /** Writes files, however few points there are. */
  readonly byFile: () => MergeRun
  /** Writes all of another backup where the server has nothing, by file too. */
  readonly of: (source: BackupSource) => MergeRun
}

/**
 * Replaces live shards. Returns what was new, equal and conflicting in the stored shards concerned before anything was
 * changed, by their ids.
 * @throws SnapError as {@link replaceShard}
 */
export async function replaceShards(
  stored: readonly StoredInto[],
  place: ReplacePlace,
  runs: RunsOfMerge,
): Promise<ReadonlyMap<bigint, MergeCounts>> {
  const counts = new Map<bigint, MergeCounts>()
  const mergeInto = async (run: MergeRun, live: ListedShard) => {
    await run.checkTarget(stored)
    for (const { shard, into } of stored.filter((each) => isFor(live, each))) {
      const { added, equal, conflicting } = await run.mergeStored(shard, into)
      if (!counts.has(shard.shard.id)) counts.set(shard.shard.id, { added, equal, conflicting })
    }
  }
  const replacement: Replacement = {
    into: stored.map(({ into }) => into),
    check: (live) => mergeInto(runs.preview(), live),
    merge: (dropped) => mergeInto(runs.byFile(), dropped),
    putBack: async (source, { database, retentionPolicy, shard }) => {
      const selection = { databases: [database], retentionPolicy, shards: [shard.id] }
      const kept = await planShards({ source, selection, signal: place.signal })
      const run = runs.of(source)
      const into = { database, retentionPolicy }
      await run.checkTarget(kept.shards.map((each) => ({ shard: each, into })))
      for (const each of kept.shards) await run.mergeStored(each, into)
    },
  }
  for (const id of place.wish.shards) await replaceShard(id, place, replacement)
  return counts
}

/** Tells whether points of a stored shard may go where a live one is. */
function isFor(live: ListedShard, { shard, into }: StoredInto): boolean {
  const { group } = live
  const isSame = into.database === live.database && into.retentionPolicy === live.retentionPolicy
  return isSame && overlaps(shard, { start: startOfGroup(group), end: group.endTime - 1n })
}
