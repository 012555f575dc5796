import { EXIT_CODES, SnapError } from '../errors.ts'
import { listUnfinished } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import { type CopyPlan, type CopyPlanOptions, planCopy, type SetPlan } from './copy-plan.ts'
import { type CopyContext, copySet } from './copy-set.ts'
import { isDead } from './leftovers.ts'
import { noProgress, type Progress, type ProgressEvent } from './progress.ts'
import { sealSet } from './seal-set.ts'
import { createThrottle } from './throttle.ts'

/** What to copy, and how. */
export interface CopyOptions extends CopyPlanOptions {
  /** Only say what would be done. */
  readonly dryRun: boolean
  /** Files at a time. */
  readonly jobs: number
  /** Bytes per second. */
  readonly limitRate?: number | undefined
  readonly progress?: Progress | undefined
}

/** What became of one set. */
export interface CopiedSet {
  readonly set: string
  /** `there`: the target had it. `copy`: after a dry run. */
  readonly action: 'copied' | 'copy' | 'there' | 'damaged'
  /** Files that were or would be copied, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** What the target had of it already. */
  readonly reused: { readonly files: number; readonly bytes: number }
  /** What is wrong with it in the source. */
  readonly problem?: string | undefined
}

const NOTHING = { files: 0, bytes: 0, reused: { files: 0, bytes: 0 } } as const

/**
 * Copies sets from one place into another, every byte against the hashes of their catalogs. Sets keep their names, and the
 * target's files of the same name and hash are not copied again. With recipients they are encrypted on the way. Of damaged sets nothing is copied that would look whole;
 * if no set was named, the others are copied.
 * @throws SnapError what {@link planCopy} throws; `E_LOCKED`, `E_SOURCE`, `E_DESTINATION`
 */
export async function copy(options: CopyOptions): Promise<readonly CopiedSet[]> {
  const { source, target, dryRun, progress = noProgress } = options
  if (source.url === target.url) {
    throw new SnapError('E_USAGE', `${source.url} is both SOURCE and TARGET`, {
      hint: 'name two places',
    })
  }
  const done = new Map<string, CopiedSet>()
  const except = new Set<string>()
  for (let round = 0; ; round++) {
    const plan = await planCopy({ ...options, except })
    if (round === 0) progress(planEvent(plan))
    if (round === 0 && !dryRun) await endReservations(target, plan)
    for (const set of untouched(plan)) if (!done.has(set.set)) done.set(set.set, set)
    const damaged = dryRun ? planned(plan, done) : await copySets(options, plan, done)
    // What a damaged set was to bring, later ones may have to bring now.
    if (damaged === undefined) break
    except.add(damaged)
  }
  return [...done.values()].sort((a, b) => (a.set < b.set ? 1 : -1))
}

/** Ends what a dead run did not: the reservation of a set that it had finished. */
async function endReservations(store: Store, { target: { files } }: CopyPlan): Promise<void> {
  for (const unfinished of listUnfinished(files)) {
    if (!unfinished.isPublished || !(await isDead(store, unfinished))) continue
    for (const name of unfinished.leftovers) await store.delete(name)
  }
}

function planEvent({ sets }: CopyPlan): ProgressEvent {
  const archives = sets.flatMap(({ files }) => files.filter(({ shard }) => shard))
  const bytes = archives.reduce((sum, { size }) => sum + size, 0)
  return { type: 'plan', task: 'copy', shards: archives.length, bytes }
}

function planned({ sets }: CopyPlan, done: Map<string, CopiedSet>): undefined {
  for (const set of sets) done.set(set.set, summarize(set, 'copy'))
}

/** Copies the sets of a plan up to one that is damaged; returns its name then. */
async function copySets(
  options: CopyOptions,
  plan: CopyPlan,
  done: Map<string, CopiedSet>,
): Promise<string | undefined> {
  const { source, target, sets: named, jobs, recipients, signal, progress = noProgress } = options
  const context: CopyContext = {
    ...{ source, target, jobs, progress, signal, copied: new Set(), listing: plan.target },
    sealed: new Map([...plan.said].map(([name, { file }]) => [name, file])),
    throttle: createThrottle(options.limitRate),
  }
  for (const set of plan.sets) {
    try {
      await (recipients ? sealSet(context, set, recipients) : copySet(context, set))
      done.set(set.set, summarize(set, 'copied'))
    } catch (error) {
      const isDamage = error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY
      if (named.length > 0 || !isDamage || signal.aborted) throw error
      done.set(set.set, damagedSet(set.set, error.message))
      return set.set
    }
  }
  return undefined
}

function summarize({ set, files, reused }: SetPlan, action: CopiedSet['action']): CopiedSet {
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  return { set, action, files: files.length, bytes, reused }
}

function untouched({ there, damaged }: CopyPlan): CopiedSet[] {
  return [
    ...there.map((set) => ({ set, action: 'there' as const, ...NOTHING })),
    ...damaged.map(({ set, message }) => damagedSet(set, message)),
  ]
}

function damagedSet(set: string, problem: string): CopiedSet {
  return { set, action: 'damaged', ...NOTHING, problem }
}
