import * as v from 'valibot'
import { SnapError } from '../errors.ts'
import { isGone, ownerSchema, type ProcessOwner, thisProcess } from '../io/process-owner.ts'
import type { LockMode } from '../portable/names.ts'

/** The waits of the lock rules, all in milliseconds. */
export interface LockTimes {
  /** A lock is renewed so often. */
  readonly beat: number
  /** A renewal that takes longer has failed. */
  readonly beatLimit: number
  /** A lock that was not renewed for so long, by the clock of its store, is that of a dead run. */
  readonly stale: number
  /** A run that could not renew its lock for so long gives it up: before others may take it for stale. */
  readonly lost: number
  /** A lock that was renewed this lately needs no look before something is published or deleted. */
  readonly fresh: number
  /** What is waited at least, for runs that have begun at once to see who gives way. */
  readonly settle: Readonly<Record<LockMode, number>>
  /** From the first to the longest wait between two looks. */
  readonly poll: readonly [number, number]
}

/** The waits of every run. */
export const LOCK_TIMES: LockTimes = {
  beat: 30_000,
  beatLimit: 30_000,
  stale: 5 * 60_000,
  lost: 4 * 60_000,
  fresh: 60_000,
  // One that wants to be alone gives up first: it must not make those fail that it would have to wait for.
  settle: { shared: 5_000, exclusive: 2_000 },
  poll: [200, 5_000],
}

const SCHEMA = 'snap/lock/1'

const lockTextSchema = v.object({
  schema: v.literal(SCHEMA),
  mode: v.picklist(['shared', 'exclusive']),
  /** What the run does: `backup`. */
  command: v.string(),
  /** When it began, RFC 3339, by its own clock: for people. */
  started: v.pipe(v.string(), v.isoTimestamp()),
  /** When the lock was made, by the clock of the store; not said when it is made. */
  since: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  owner: ownerSchema,
})

/** What a lock says of its run. */
export type LockText = Omit<v.InferOutput<typeof lockTextSchema>, 'schema'>

/** Encodes a lock as one line of JSON. */
export function encodeLock(text: LockText): string {
  return `${JSON.stringify({ schema: SCHEMA, ...text })}\n`
}

/** Decodes a lock; undefined for anything else, one of a later version too: it counts by its name and age alone. */
export function decodeLock(text: string): LockText | undefined {
  try {
    return v.parse(lockTextSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

/** A lock that was found in a store. */
export interface FoundLock {
  readonly name: string
  readonly mode: LockMode
  /** When it was made or renewed last, by the clock of its store. */
  readonly modified: Date
  readonly text: LockText | undefined
}

/** Why the run of a lock counts as dead; undefined while it may live. */
export function deathOf(
  { modified, text }: FoundLock,
  storeNow: Date,
  { stale }: LockTimes,
): string | undefined {
  const age = storeNow.getTime() - modified.getTime()
  if (age >= stale) return `it was not renewed for ${Math.floor(age / 60_000)} minutes`
  return text && isCertainlyGone(text.owner) ? 'its process is gone' : undefined
}

/** Another boot may be another machine of the same name, which for one directory does not matter and for a bucket does. */
function isCertainlyGone(owner: ProcessOwner): boolean {
  return owner.boot !== '' && owner.boot === thisProcess().boot && isGone(owner)
}

/** What a run that has its own lock in the store does about the living locks of others. */
export interface Verdict {
  /** `held`: go to work. `stay`: keep the lock and look again. `yield`: take it away, and try again later. */
  readonly act: 'held' | 'stay' | 'yield'
  /** Why not `held`. */
  readonly blocker?: FoundLock | undefined
}

/**
 * Judges by a listing made after the own lock was written. Of two locks that exclude each other the one written second is
 * listed with the first, so never do both runs hold; whose clock says what only decides who gives way.
 */
export function judge(own: FoundLock, others: readonly FoundLock[]): Verdict {
  const first = loneRun(others)
  if (own.mode === 'shared') return first ? { act: 'yield', blocker: first } : { act: 'held' }
  if (first !== undefined) return { act: byAge(first, own) < 0 ? 'yield' : 'stay', blocker: first }
  const [blocker] = others.toSorted(byAge)
  return blocker ? { act: 'stay', blocker } : { act: 'held' }
}

/** The oldest of the locks that are exclusive. */
export function loneRun(locks: readonly FoundLock[]): FoundLock | undefined {
  return locks.filter(({ mode }) => mode === 'exclusive').sort(byAge)[0]
}

function byAge(a: FoundLock, b: FoundLock): number {
  return sinceOf(a) - sinceOf(b) || (a.name < b.name ? -1 : 1)
}

function sinceOf({ text, modified }: FoundLock): number {
  return text?.since === undefined ? modified.getTime() : Date.parse(text.since)
}

/** Names the run of a lock for people. */
export function describeHolder({ text, modified }: FoundLock): string {
  if (text === undefined) return `another run, since ${modified.toISOString()}`
  const { command, owner, started } = text
  return `snap ${command} (process ${owner.pid} on ${owner.host}) since ${started}`
}

/** The error of a run that cannot have its lock. */
export function lockedError(url: string, blocker: FoundLock): SnapError {
  return new SnapError('E_LOCKED', `${url}: locked by ${describeHolder(blocker)}`, {
    retryable: true,
  })
}
