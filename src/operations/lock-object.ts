import { randomBytes } from 'node:crypto'
import { SnapError } from '../errors.ts'
import { isAbandonedName, thisProcess } from '../io/process-owner.ts'
import { LOCK_PREFIX, type LockMode, lockName, parseLockName } from '../portable/names.ts'
import type { Store } from '../storage/index.ts'
import {
  decodeLock,
  encodeLock,
  type FoundLock,
  type LockText,
  type LockTimes,
} from './lock-rules.ts'
import { readSmall } from './read-small.ts'

/** The lock of this run in its store, from its first write on. */
export class LockObject {
  readonly name: string
  readonly #store: Store
  readonly #stale: number
  #text: LockText
  #modified: Date | undefined

  constructor(
    store: Store,
    { mode, command, times }: { mode: LockMode; command: string; times: LockTimes },
  ) {
    this.name = lockName(mode, randomBytes(16).toString('hex'))
    this.#store = store
    this.#stale = times.stale
    this.#text = { mode, command, started: new Date().toISOString(), owner: thisProcess() }
  }

  /**
   * Writes it, or renews it. Returns it as the store has it then: `modified` is now by the store's clock.
   * @throws SnapError `E_LOCKED` if it was taken away or was stale meanwhile, and what {@link Store.write} throws
   */
  async write(signal?: AbortSignal): Promise<FoundLock> {
    const before = this.#modified
    if (before !== undefined && (await this.#store.stat(this.name, signal)) === undefined) {
      throw lostError(this.#store.url, 'was removed')
    }
    const { modified } = await this.#store.write(this.name, encodeLock(this.#text), signal)
    // One that was stale may have been taken away before this write made it anew.
    if (before !== undefined && modified.getTime() - before.getTime() >= this.#stale) {
      throw lostError(this.#store.url, 'was not renewed in time')
    }
    this.#modified = modified
    this.#text = { since: modified.toISOString(), ...this.#text }
    return { name: this.name, mode: this.#text.mode, modified, text: this.#text }
  }

  /** Removes it, whatever became of it. @throws SnapError `E_DESTINATION` */
  async remove(signal?: AbortSignal): Promise<void> {
    this.#modified = undefined
    await this.#store.delete(this.name, signal)
  }
}

/** The error of a run whose lock did not last. */
export function lostError(url: string, what: string, cause?: SnapError): SnapError {
  const why = cause === undefined ? '' : `: ${cause.message}`
  return new SnapError('E_LOCKED', `${url}: the lock of this run ${what}${why}`, {
    hint: 'other runs may have taken it for dead: nothing more was changed; run it again',
    cause,
  })
}

/** What was found beside the lock of a run. */
export interface FoundLocks {
  readonly locks: readonly FoundLock[]
  /** Files of processes of this machine that are gone, killed while they wrote a lock. */
  readonly abandoned: readonly string[]
}

/** Lists the locks of others than the run whose lock is `own`. */
export async function findLocks(
  store: Store,
  own: string,
  signal: AbortSignal,
): Promise<FoundLocks> {
  const locks: FoundLock[] = []
  const abandoned: string[] = []
  for await (const { name, modified } of store.list(signal, LOCK_PREFIX)) {
    const mode = parseLockName(name)
    if (isAbandonedName(name)) abandoned.push(name)
    if (mode === undefined || name === own) continue
    const text = decodeLock(await readSmall(store, name, { signal }))
    locks.push({ name, mode, modified, text })
  }
  return { locks, abandoned }
}
