import { createHash, type Hash } from 'node:crypto'
import { SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { thisProcess } from '../io/process-owner.ts'
import type { CatalogFile } from '../portable/catalog.ts'
import type { SetListing } from '../portable/listing.ts'
import { catalogName, parseFileName } from '../portable/names.ts'
import { listUnfinished } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import type { SetPlan } from './copy-plan.ts'
import type { CopyFile } from './copy-target.ts'
import { isDead } from './leftovers.ts'
import { mapParallel } from './parallel.ts'
import type { Progress } from './progress.ts'
import { readSmall } from './read-small.ts'
import { retainAll } from './retain-all.ts'
import type { Throttle } from './throttle.ts'

/** What the copying of several sets shares. */
export interface CopyContext {
  readonly source: Store
  readonly target: Store
  /** The target before anything was copied. */
  readonly listing: SetListing
  /** Names of the sets that this run has copied. */
  readonly copied: Set<string>
  /** What is stored encrypted in the target, by its name there, if sets are encrypted on the way. */
  readonly sealed: Map<string, CatalogFile>
  readonly jobs: number
  readonly throttle: Throttle
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** A reservation whose run has ended and left finished files to the next one. */
const GIVEN_UP = '{}'

/**
 * Copies what a target lacks of a set, the manifest last. Files get their names as they are finished, under a reservation of
 * the set's name: a copy that was cut short is gone on with, and what is left of it is never taken for a set.
 * @throws SnapError `E_INTEGRITY` if a file is not what the catalog says, `E_LOCKED` if another run makes this set,
 * `E_SOURCE`, `E_DESTINATION`
 */
export async function copySet(context: CopyContext, plan: SetPlan): Promise<void> {
  const { target, copied, jobs, signal } = context
  const { own, others } = await reserveSets(context, plan)
  const last = [catalogName(plan.set), plan.manifest]
  const held = [own, ...others]
  let finished = 0
  try {
    const first = plan.files.filter(({ name }) => !last.includes(name))
    await mapParallel(first, { jobs, signal }, async (file, stop) => {
      await copyFile(context, file, stop)
      finished += 1
    })
    // Before there is a set that needs their files: what is reserved may be taken away.
    for (const set of others) await target.delete(set + PENDING_SUFFIX, signal)
    held.splice(1)
    await retainAll(target, plan.shared, signal)
    for (const file of plan.files.filter(({ name }) => last.includes(name))) {
      await copyFile(context, file, signal)
    }
    await endReservation(context, own)
    copied.add(plan.set)
  } catch (error) {
    await Promise.allSettled(held.map((set) => giveUp(target, set, finished > 0)))
    await target.abandon()
    throw error
  }
}

/** Ends the reservation of a set that is whole; what an earlier copy that failed left under `.pending` names goes first. */
export async function endReservation(
  { target, listing, signal }: CopyContext,
  set: string,
): Promise<void> {
  const reservation = set + PENDING_SUFFIX
  for (const { leftovers } of listUnfinished(listing.files).filter((each) => each.set === set)) {
    for (const name of leftovers.filter((each) => each.endsWith(PENDING_SUFFIX))) {
      if (name !== reservation) await target.delete(name, signal)
    }
  }
  await target.delete(reservation, signal)
}

async function giveUp(target: Store, set: string, isBegun: boolean): Promise<void> {
  if (isBegun) await target.write(set + PENDING_SUFFIX, GIVEN_UP)
  else await target.delete(set + PENDING_SUFFIX)
}

/**
 * Takes the names of a set, and of those of which it brings shared files although the target does not have them.
 * @throws SnapError `E_LOCKED` if another run makes one of them; none is taken then
 */
export async function reserveSets(
  context: CopyContext,
  plan: SetPlan,
): Promise<{ readonly own: string; readonly others: readonly string[] }> {
  const others = othersOf(context, plan)
  const held: string[] = []
  try {
    for (const set of [plan.set, ...others]) {
      await reserveSet(context, set)
      held.push(set)
    }
    return { own: plan.set, others }
  } catch (error) {
    await Promise.allSettled(held.map((set) => giveUp(context.target, set, false)))
    await context.target.abandon()
    throw error
  }
}

function othersOf({ listing, copied }: CopyContext, { set, files }: SetPlan): readonly string[] {
  const others = new Set<string>()
  for (const { name } of files) {
    const owner = parseFileName(name)?.set
    if (owner === undefined || owner === set || copied.has(owner)) continue
    if (!listing.sets.some((there) => there.name === owner)) others.add(owner)
  }
  return [...others]
}

/** Takes the name of a set, or takes it over from a run that has ended. */
async function reserveSet({ target, listing }: CopyContext, set: string): Promise<void> {
  const owner = JSON.stringify(thisProcess())
  if (await target.reserve(set, owner)) return
  const name = set + PENDING_SUFFIX
  const found = listUnfinished(listing.files).find((unfinished) => unfinished.set === set)
  const isFree =
    (await readSmall(target, name)) === GIVEN_UP || (found && (await isDead(target, found)))
  if (!isFree) {
    throw new SnapError('E_LOCKED', `${target.url}: another run is making set ${set}`, {
      hint: `wait for it to end; if no such snap is running, remove ${name}`,
    })
  }
  await target.write(name, owner)
}

/** Copies one file, reading every byte against what is said of it. */
async function copyFile(context: CopyContext, file: CopyFile, signal: AbortSignal): Promise<void> {
  const { target, progress } = context
  const { name, shard, size } = file
  const started = performance.now()
  if (shard !== undefined) progress({ type: 'shardStart', shard })
  const body = readChecked(context, { file, hash: createHash('sha256') }, signal)
  const staged = await target.stage(name, body, signal)
  try {
    await staged.publish()
  } catch (error) {
    await staged.discard()
    throw error
  }
  if (shard === undefined) return
  progress({ type: 'shardDone', shard, bytes: size, durationMs: performance.now() - started })
}

/**
 * Reads a file, at the rate that is allowed, and compares it at its end with what is said of it.
 * @param hash takes its bytes
 * @throws SnapError `E_INTEGRITY`
 */
export function readChecked(
  context: CopyContext,
  file: { readonly file: CopyFile; readonly hash: Hash },
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  return context.throttle(checked(context, file, signal), signal)
}

async function* checked(
  { source, progress }: CopyContext,
  { file, hash }: { readonly file: CopyFile; readonly hash: Hash },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { name, size, sha256, shard } = file
  let bytes = 0
  for await (const chunk of source.read(name, undefined, signal)) {
    hash.update(chunk)
    bytes += chunk.length
    if (shard !== undefined) progress({ type: 'shardProgress', shard, bytes })
    yield chunk
  }
  const found = hash.copy().digest('hex')
  if (bytes === size && (sha256 ?? found) === found) return
  const difference =
    bytes === size ? `sha256 ${found}, expected ${sha256}` : `${bytes} bytes, expected ${size}`
  throw new SnapError('E_INTEGRITY', `${source.url}: ${name}: ${difference}`)
}
