import { setTimeout as sleep } from 'node:timers/promises'
import { SnapError } from '../errors.ts'
import type { LockMode } from '../portable/names.ts'
import type { Store } from '../storage/index.ts'
import { findLocks, LockObject } from './lock-object.ts'
import {
  deathOf,
  describeHolder,
  type FoundLock,
  judge,
  LOCK_TIMES,
  type LockTimes,
  lockedError,
  loneRun,
  type Verdict,
} from './lock-rules.ts'
import type { Progress } from './progress.ts'

/** Which lock a run wants. */
export interface LockWish {
  readonly mode: LockMode
  /** What the run does, for others to read: `backup`. */
  readonly command: string
  /** How long to wait for other runs, milliseconds. */
  readonly wait: number
  readonly progress: Progress
  readonly signal: AbortSignal
  /** Default {@link LOCK_TIMES}. */
  readonly times?: LockTimes | undefined
}

/**
 * Takes a lock of a store: writes an object that no other run has, then lists those of others and judges. Dead ones are
 * removed on the way, and said.
 * @throws SnapError `E_LOCKED` naming the run that holds it, what the store throws; nothing is left then
 */
export async function waitForLock(store: Store, wish: LockWish): Promise<LockObject> {
  const { mode, wait, signal, times = LOCK_TIMES } = wish
  const deadline = performance.now() + Math.max(wait, times.settle[mode])
  const object = new LockObject(store, { ...wish, times })
  let [pause, longest] = times.poll
  let last: Look | undefined
  let told: string | undefined
  try {
    for (;;) {
      signal.throwIfAborted()
      last = await look(store, { object, last }, wish)
      const { act, blocker } = last
      if (blocker === undefined) return object
      const left = deadline - performance.now()
      if (left <= 0) throw lockedError(store.url, blocker)
      if (act === 'yield') await object.remove(signal)
      if (wait > 0 && told !== blocker.name) tellWait(blocker, wish)
      told = blocker.name
      await pauseFor(Math.min(left, pause * (0.75 + Math.random() / 2)), signal)
      pause = Math.min(pause * 1.5, longest)
    }
  } catch (error) {
    // What cannot be removed is stale soon.
    await object.remove().catch(() => {})
    throw error
  }
}

/** What was seen, and when by the clock of the store. */
interface Look extends Verdict {
  readonly storeNow: Date
  /** When that was by the steady clock of this machine, milliseconds. */
  readonly at: number
}

async function look(
  store: Store,
  { object, last }: { readonly object: LockObject; readonly last: Look | undefined },
  wish: LockWish,
): Promise<Look> {
  const at = performance.now()
  if (last?.act === 'yield') {
    // A run that gave way comes back when nobody is alone: those who stay shall not see it come and go.
    const storeNow = new Date(last.storeNow.getTime() + at - last.at)
    const blocker = loneRun(await findLiving(store, { own: object.name, storeNow }, wish))
    if (blocker !== undefined) return { act: 'yield', blocker, storeNow, at }
  }
  const own = await object.write(wish.signal)
  const storeNow = own.modified
  const others = await findLiving(store, { own: own.name, storeNow }, wish)
  return { ...judge(own, others), storeNow, at }
}

function tellWait(blocker: FoundLock, { progress }: LockWish): void {
  const message = `waiting for ${describeHolder(blocker)}`
  progress({ type: 'note', level: 'info', message })
}

/** Returns the locks of other runs that may live, and removes all others. */
async function findLiving(
  store: Store,
  { own, storeNow }: { readonly own: string; readonly storeNow: Date },
  { progress, signal, times = LOCK_TIMES }: LockWish,
): Promise<FoundLock[]> {
  const found = await findLocks(store, own, signal)
  const living: FoundLock[] = []
  for (const lock of found.locks) {
    const death = deathOf(lock, storeNow, times)
    if (death === undefined) living.push(lock)
    else if (await isRemoved(store, lock.name, signal)) {
      const message = `removed the lock of ${describeHolder(lock)}: ${death}`
      progress({ type: 'note', level: 'warning', message })
    }
  }
  for (const name of found.abandoned) await isRemoved(store, name, signal)
  return living
}

/** A dead lock holds nobody up, also where nothing can be deleted. */
async function isRemoved(store: Store, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await store.delete(name, signal)
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof SnapError)) throw error
    return false
  }
}

/** Waits, or throws the reason of `signal`. */
export async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
