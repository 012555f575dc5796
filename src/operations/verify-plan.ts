import { createHash } from 'node:crypto'
import { isBeside, JOURNAL_NAME, manifestName, parseFileName } from '../portable/names.ts'
import { listUnfinished } from '../portable/target.ts'
import { readJournal } from './prune-journal.ts'
import type { ArchiveTask, FoundSet, VerifyContext } from './verify-context.ts'
import { isThere } from './verify-set.ts'

/** Returns each archive once for all sets that say the same of it. */
export function distinctArchives(tasks: readonly ArchiveTask[]): ArchiveTask[] {
  const byName = new Map<string, ArchiveTask[]>()
  for (const task of tasks) {
    const known = byName.get(task.part.name)
    const at = known?.findIndex((one) => isSame(one, task)) ?? -1
    const same = known?.[at]
    if (known === undefined) byName.set(task.part.name, [task])
    else if (same === undefined) known.push(task)
    else known[at] = { ...same, sets: [...same.sets, ...task.sets] }
  }
  return [...byName.values()].flat()
}

/** Says whether the same is said of an archive. */
function isSame({ part, shard }: ArchiveTask, { part: other, shard: of }: ArchiveTask): boolean {
  if (part.stored?.sha256 !== other.stored?.sha256 || part.tarSize !== other.tarSize) return false
  if (shard.shardId !== of.shardId || shard.database !== of.database) return false
  return shard.retentionPolicy === of.retentionPolicy
}

/** Which of the archives are to be verified. */
export interface Choice {
  /** Above 0, at most 100. */
  readonly percent: number
  /** The same seed gives the same order. */
  readonly seed: number
}

/** Returns a part of the archives, at least one, in an order that is random but for the seed. */
export function chooseArchives(
  tasks: readonly ArchiveTask[],
  { percent, seed }: Choice,
): ArchiveTask[] {
  const count = Math.ceil((tasks.length * percent) / 100)
  const place = ({ part }: ArchiveTask) =>
    createHash('sha256').update(`${seed} ${part.name}`).digest('hex')
  return tasks
    .map((task) => ({ task, place: place(task) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .slice(0, count)
    .map(({ task }) => task)
}

/**
 * Finds files that are named as those of a set and are in none: their manifest is gone, or does not list them.
 * @param only the set that is looked at; default all
 * @returns the sets that are not finished, because a run is at work or has died
 */
export async function findStrays(
  context: VerifyContext,
  found: readonly FoundSet[],
  only?: string,
): Promise<string[]> {
  const { listing, findings } = context
  const unfinished = new Set(
    listUnfinished(listing.files).flatMap(({ set, isPublished }) => (isPublished ? [] : [set])),
  )
  const begun = await findings.collect({ sets: [], file: JOURNAL_NAME }, () =>
    readJournal(listing, context.signal),
  )
  const readable = new Map(found.map(({ set, archives }) => [set, archives !== undefined]))
  const ofSets = new Map(found.map((set) => [set.set, set]))
  const isUsed = (name: string, set: string) =>
    ofSets.get(set)?.files.has(name) || found.some(({ files }) => files.has(name))
  const headless = new Map<string, number>()
  for (const name of listing.files.keys()) {
    const parsed = parseFileName(name)
    if (parsed === undefined || isBeside(parsed)) continue
    const { set } = parsed
    if (isUsed(name, set) || unfinished.has(set)) continue
    if (only !== undefined && set !== only) continue
    // A prune was cut short, and the next one removes the rest.
    if (begun?.has(set)) {
      unfinished.add(set)
      continue
    }
    if (!readable.has(set)) headless.set(set, (headless.get(set) ?? 0) + 1)
    else if (readable.get(set)) {
      findings.add({ sets: [set], file: name }, `${name}: no manifest or catalog lists it`)
    }
  }
  for (const [set, count] of headless) {
    const file = manifestName(set)
    if (await isThere(context, file)) continue
    const message = `${file} is missing: nothing can be restored of the ${count} files of set ${set}`
    findings.add({ sets: [set], file }, message)
  }
  return [...unfinished]
}
