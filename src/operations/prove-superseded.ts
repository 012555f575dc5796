import type { TsmSource } from '../tsm/align.ts'
import { type MergedKey, mergeTsm } from '../tsm/merge.ts'
import type { Block, TimeRange } from '../tsm/values.ts'
import { asDamage } from './check-archive.ts'
import type { ShardName } from './inspect.ts'
import type { ArchivePart } from './restorable.ts'
import { openUnion } from './union-shard.ts'

/** An archive of a shard, and those of newer sets that may hold all of its points. */
export interface Supersession {
  readonly shard: ShardName
  /** Newest first. */
  readonly newer: readonly ArchivePart[]
  readonly older: ArchivePart
  /** Newer archives that lack nothing because of its age, though they may be of a certain time. */
  readonly witnesses: readonly ArchivePart[]
}

interface ProofOptions {
  readonly tempDir: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Says whether an archive can be left out: each point of it is in a newer one too, or was deleted, which is certain of a time
 * between others of a witness. Ends at the first point of which neither is so.
 * @throws SnapError `E_INTEGRITY` if an archive is damaged
 */
export async function proveSuperseded(
  { shard, newer, older, witnesses }: Supersession,
  options: ProofOptions,
): Promise<boolean> {
  const have = await openUnion(shard, newer, options)
  try {
    const all = await openUnion(shard, [...newer, older], options)
    try {
      const covered = await Promise.all(witnesses.map((part) => spanOf(shard, part, options)))
      for await (const time of missingTimes(all.sources, have.sources)) {
        options.signal?.throwIfAborted()
        if (!covered.some(({ minTime, maxTime }) => minTime < time && time < maxTime)) return false
      }
      return true
    } finally {
      await all.close()
    }
  } catch (error) {
    throw asDamage(error, shard, older.name)
  } finally {
    await have.close()
  }
}

/** The first and the last time in an archive; of one without points the first is the later one. */
async function spanOf(
  shard: ShardName,
  part: ArchivePart,
  options: ProofOptions,
): Promise<TimeRange> {
  const { sources, close } = await openUnion(shard, [part], options)
  try {
    let [minTime, maxTime] = [1n, 0n]
    for (const { file } of sources) {
      for await (const { entries } of file.keys()) {
        for (const entry of entries) {
          if (minTime > maxTime) ({ minTime, maxTime } = entry)
          if (entry.minTime < minTime) minTime = entry.minTime
          if (entry.maxTime > maxTime) maxTime = entry.maxTime
        }
      }
    }
    return { minTime, maxTime }
  } finally {
    await close()
  }
}

/** Yields the times of points that `all` has and `have`, which is a part of it, has not. */
async function* missingTimes(
  all: readonly TsmSource[],
  have: readonly TsmSource[],
): AsyncGenerator<bigint> {
  const keys = mergeTsm(have)
  try {
    let next = await nextKey(keys)
    for await (const { key, blocks } of mergeTsm(all)) {
      const isSame = next !== undefined && Buffer.compare(next.key, key) === 0
      yield* timesWithout(blocks, isSame && next !== undefined ? next.blocks : none())
      if (isSame) next = await nextKey(keys)
    }
  } finally {
    await keys.return(undefined)
  }
}

async function nextKey(keys: AsyncGenerator<MergedKey>): Promise<MergedKey | undefined> {
  const { done, value } = await keys.next()
  return done ? undefined : value
}

async function* none(): AsyncGenerator<Block> {}

/** Yields the times of blocks, which ascend, that are not in other ones. */
async function* timesWithout(
  blocks: AsyncIterable<Block>,
  others: AsyncGenerator<Block>,
): AsyncGenerator<bigint> {
  let other: BigInt64Array = new BigInt64Array(0)
  let at = 0
  let isOver = false
  for await (const { times } of blocks) {
    for (const time of times) {
      while (!isOver && (at === other.length || (other[at] ?? time) < time)) {
        if (at < other.length) {
          at++
          continue
        }
        const { done, value } = await others.next()
        isOver = done === true
        other = done ? other : value.times
        at = 0
      }
      if (isOver || other[at] !== time) yield time
    }
  }
}
