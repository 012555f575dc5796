import { once } from '../io/once.ts'
import { encodeFinished, type FinishedShard } from '../portable/finished.ts'
import { finishedName } from '../portable/names.ts'
import type { Staged, Store } from '../storage/index.ts'
import { mapParallel } from './parallel.ts'

/** How many notes are deleted at once: with one request, in most object stores. */
const JOBS = 100

/**
 * The notes that a run leaves beside the shards of a set that are finished, until the set is: files that are staged and
 * never published.
 */
export class FinishedNotes {
  readonly #store: Store
  readonly #set: string
  readonly #notes = new Map<bigint, Staged>()

  constructor(store: Store, set: string) {
    this.#store = store
    this.#set = set
  }

  /** The shards that are finished. */
  get shardIds(): readonly bigint[] {
    return [...this.#notes.keys()]
  }

  /** Notes that a shard is finished. @throws SnapError `E_DESTINATION` */
  async write(finished: FinishedShard): Promise<void> {
    const { shardId } = finished.shard
    const body = once(Buffer.from(encodeFinished(finished)))
    const name = finishedName(this.#set, shardId)
    this.#notes.set(shardId, await this.#store.stage(name, body))
  }

  /** Takes a note back. @throws SnapError `E_DESTINATION` */
  async delete(shardId: bigint): Promise<void> {
    const note = this.#notes.get(shardId)
    this.#notes.delete(shardId)
    await note?.discard()
  }

  /** Takes all notes back. @throws SnapError `E_DESTINATION` */
  async deleteAll(): Promise<void> {
    await mapParallel(this.shardIds, { jobs: JOBS }, (shardId) => this.delete(shardId))
  }
}
