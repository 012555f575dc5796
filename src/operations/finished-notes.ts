import { PENDING_SUFFIX } from '../io/pending.ts'
import { encodeFinished, type FinishedShard } from '../portable/finished.ts'
import { finishedName } from '../portable/names.ts'
import type { Store } from '../storage/index.ts'
import { mapParallel } from './parallel.ts'

/** How many notes are deleted at once. */
const JOBS = 8

/** The notes that a run leaves beside the shards of a set that are finished, until the set is. */
export class FinishedNotes {
  readonly #store: Store
  readonly #set: string
  readonly #names = new Map<bigint, string>()

  constructor(store: Store, set: string) {
    this.#store = store
    this.#set = set
  }

  /** The shards that are finished. */
  get shardIds(): readonly bigint[] {
    return [...this.#names.keys()]
  }

  /** Notes that a shard is finished. @throws SnapError `E_DESTINATION` */
  async write(finished: FinishedShard): Promise<void> {
    const { shardId } = finished.shard
    const name = finishedName(this.#set, shardId) + PENDING_SUFFIX
    this.#names.set(shardId, name)
    await this.#store.write(name, encodeFinished(finished))
  }

  /** Takes a note back. @throws SnapError `E_DESTINATION` */
  async delete(shardId: bigint): Promise<void> {
    const name = this.#names.get(shardId)
    this.#names.delete(shardId)
    if (name !== undefined) await this.#store.delete(name)
  }

  /** Takes all notes back. @throws SnapError `E_DESTINATION` */
  async deleteAll(): Promise<void> {
    await mapParallel(this.shardIds, { jobs: JOBS }, (shardId) => this.delete(shardId))
  }
}
