import { messageOf, SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import type { Staged, Store } from '../storage/index.ts'
import { HeldLock } from './lock.ts'
import type { LockWish } from './lock-wait.ts'

/** What a run wants of its place. */
export interface LockedRun extends LockWish {
  /** It only reads: it goes on without a lock where nothing can be written, and takes none where nothing is. */
  readonly reads: boolean
}

/** A place that is locked for a run. */
export interface LockedPlace {
  /** Publishes, replaces and deletes only while the lock is held. */
  readonly store: Store
  /** Aborts with the run, and when the lock is lost. */
  readonly signal: AbortSignal
}

/**
 * Does some work with a lock on its store, and releases it however the work ends.
 * @throws SnapError `E_LOCKED` if another run holds it or if it was lost; what `work` throws
 */
export async function withLock<T>(
  store: Store,
  run: LockedRun,
  work: (place: LockedPlace) => Promise<T>,
): Promise<T> {
  try {
    const lock = await takeLock(store, run)
    if (lock === undefined) return await work({ store, signal: run.signal })
    try {
      return await work({ store: lockedStore(store, lock), signal: lock.signal })
    } catch (error) {
      // Whatever a run throws that has lost its lock, this is why.
      throw lock.lost ?? error
    } finally {
      await release(lock, run)
    }
  } finally {
    // As long as the lock was there the place was not empty.
    await store.abandon()
  }
}

async function takeLock(store: Store, run: LockedRun): Promise<HeldLock | undefined> {
  const { reads, signal, progress } = run
  if (reads && (await isEmpty(store, signal))) return undefined
  try {
    return await HeldLock.take(store, run)
  } catch (error) {
    signal.throwIfAborted()
    if (!reads || !(error instanceof SnapError) || error.code !== 'E_DESTINATION') throw error
    const message = `no lock was taken: ${error.message}`
    progress({ type: 'note', level: 'info', message })
    return undefined
  }
}

async function isEmpty(store: Store, signal: AbortSignal): Promise<boolean> {
  for await (const _ of store.list(signal)) return false
  return true
}

/** A lock that stays is stale soon, and holds others up only until then. */
async function release(lock: HeldLock, { progress }: LockedRun): Promise<void> {
  try {
    await lock.release()
  } catch (error) {
    const message = `the lock of this run could not be removed: ${messageOf(error)}`
    progress({ type: 'note', level: 'info', message })
  }
}

/**
 * Returns a store that confirms the lock before it changes what other runs see. Unfinished work, and what this run itself
 * has published, can be taken away without.
 */
function lockedStore(store: Store, lock: HeldLock): Store {
  const own = new Set<string>()
  const { url, uploads, retain } = store
  return {
    url,
    get undeleted() {
      return store.undeleted
    },
    ...(uploads && { uploads: (signal) => uploads.call(store, signal) }),
    ...(retain && { retain: (...args) => retain.apply(store, args) }),
    list: (...args) => store.list(...args),
    stat: (...args) => store.stat(...args),
    read: (...args) => store.read(...args),
    pathOf: (name) => store.pathOf?.(name),
    reserve: (...args) => store.reserve(...args),
    async stage(...args) {
      return new GuardedFile(await store.stage(...args), lock, own)
    },
    createsOnce: (...args) => store.createsOnce(...args),
    async create(...args) {
      await lock.confirm()
      return await store.create(...args)
    },
    async write(...args) {
      await lock.confirm()
      return await store.write(...args)
    },
    async delete(name, signal) {
      if (!name.endsWith(PENDING_SUFFIX) && !own.has(name)) await lock.confirm()
      await store.delete(name, signal)
    },
    abandon: () => store.abandon(),
  }
}

/** Bytes that get their name only while a lock is held. A class, as a run may have three of them for each of 10,000 shards. */
class GuardedFile implements Staged {
  readonly #staged: Staged
  readonly #lock: HeldLock
  readonly #own: Set<string>

  /** @param own names that the run has published */
  constructor(staged: Staged, lock: HeldLock, own: Set<string>) {
    this.#staged = staged
    this.#lock = lock
    this.#own = own
  }

  get name(): string {
    return this.#staged.name
  }

  get size(): number {
    return this.#staged.size
  }

  get read(): Staged['read'] {
    return this.#staged.read?.bind(this.#staged)
  }

  async publish(): Promise<void> {
    await this.#confirm()
    await this.#staged.publish()
  }

  get takeName(): Staged['takeName'] {
    const take = this.#staged.takeName?.bind(this.#staged)
    return (
      take &&
      (async () => {
        await this.#confirm()
        await take()
      })
    )
  }

  discard(): Promise<void> {
    return this.#staged.discard()
  }

  async #confirm(): Promise<void> {
    await this.#lock.confirm()
    this.#own.add(this.name)
  }
}
