import { setMaxListeners } from 'node:events'
import { asSnapError, SnapError } from '../errors.ts'
import { withDeadline } from '../io/deadline.ts'
import type { Store } from '../storage/index.ts'
import { type LockObject, lostError } from './lock-object.ts'
import { LOCK_TIMES, type LockTimes } from './lock-rules.ts'
import { type LockWish, pauseFor, waitForLock } from './lock-wait.ts'

/** The clocks of this machine; one of them stands still while it sleeps, the other may be set. */
interface Moment {
  readonly steady: number
  readonly wall: number
}

function moment(): Moment {
  return { steady: performance.now(), wall: Date.now() }
}

/** The longer of what the two clocks say, milliseconds. */
function since({ steady, wall }: Moment): number {
  return Math.max(performance.now() - steady, Date.now() - wall)
}

/** A lock that is held and renewed until it is released. */
export class HeldLock {
  /** Aborts with the signal of the run, or with why the lock is lost. */
  readonly signal: AbortSignal
  readonly #store: Store
  readonly #object: LockObject
  readonly #times: LockTimes
  readonly #lost = new AbortController()
  readonly #released = new AbortController()
  readonly #renewing: Promise<void>
  #renewed = moment()
  #renewal: Promise<void> | undefined

  private constructor(
    store: Store,
    object: LockObject,
    { signal, times }: { signal: AbortSignal; times: LockTimes },
  ) {
    this.#store = store
    this.#object = object
    this.#times = times
    this.signal = AbortSignal.any([signal, this.#lost.signal])
    // As many waits listen to it as to the one of the run.
    setMaxListeners(0, this.signal)
    this.#renewing = this.#keep()
  }

  /** Waits for a lock as {@link waitForLock} does. */
  static async take(store: Store, wish: LockWish): Promise<HeldLock> {
    const object = await waitForLock(store, wish)
    return new HeldLock(store, object, { signal: wish.signal, times: wish.times ?? LOCK_TIMES })
  }

  /** Why the lock is lost; undefined while it is held. */
  get lost(): unknown {
    return this.#lost.signal.aborted ? this.#lost.signal.reason : undefined
  }

  /**
   * Makes sure that the lock is held, right before something is published or deleted.
   * @throws SnapError `E_LOCKED` if it is lost
   */
  async confirm(): Promise<void> {
    if (since(this.#renewed) > this.#times.fresh) await this.#renew()
    this.#lost.signal.throwIfAborted()
  }

  /** Ends the renewals and removes the lock. @throws SnapError `E_DESTINATION` if it cannot be removed */
  async release(): Promise<void> {
    this.#released.abort()
    await this.#renewing
    await this.#renewal
    await this.#object.remove(AbortSignal.timeout(this.#times.beatLimit))
  }

  async #keep(): Promise<void> {
    const end = AbortSignal.any([this.#released.signal, this.#lost.signal])
    while (!end.aborted) {
      try {
        await pauseFor(this.#times.beat, end)
        await this.#renew()
      } catch {
        return
      }
    }
  }

  /** Renews the lock once, whoever asks. Never throws; what it finds is {@link lost}. */
  #renew(): Promise<void> {
    this.#renewal ??= this.#write().finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  async #write(): Promise<void> {
    const { beatLimit, lost } = this.#times
    const slow = new AbortController()
    const signal = AbortSignal.any([slow.signal, this.#released.signal])
    const began = moment()
    try {
      await withDeadline(this.#object.write(signal), beatLimit, () => {
        const error = new SnapError('E_TIMEOUT', `no answer within ${beatLimit / 1000} s`)
        slow.abort(error)
        return error
      })
      this.#renewed = began
    } catch (thrown) {
      const error = asSnapError(thrown, 'E_DESTINATION', this.#store.url)
      if (error.code === 'E_LOCKED') this.#lost.abort(error)
      else if (since(this.#renewed) >= lost) {
        this.#lost.abort(lostError(this.#store.url, 'could not be renewed', error))
      }
    }
  }
}
