import { setImmediate } from 'node:timers/promises'
import { orAborted, type S3Connection } from './s3-client.ts'
import { deleteObject, keepsVersions } from './s3-delete.ts'
import { statusOf } from './s3-errors.ts'

/** S3 deletes no more with one request. */
const MAX_KEYS = 1_000

interface Waiting {
  readonly key: string
  readonly answer: (isDeleted: boolean) => void
}

/**
 * Deletes objects, those that are asked for at the same time with one request: for each file of a set one is to go. Where a
 * bucket keeps versions, where the store knows no such request, or refuses to delete one of them, each has a request of its own.
 */
export class Deletions {
  readonly #connection: S3Connection
  #versions: Promise<boolean> | undefined
  #takesMany = true
  #waiting: Waiting[] = []
  #isRunning = false

  constructor(connection: S3Connection) {
    this.#connection = connection
  }

  /** Deletes an object. Throws as {@link deleteObject}. */
  async delete(key: string, signal?: AbortSignal): Promise<void> {
    this.#versions ??= keepsVersions(this.#connection)
    const versions = await this.#versions
    const isDone = !versions && this.#takesMany && (await orAborted(this.#together(key), signal))
    if (!isDone) await deleteObject(this.#connection, { key, versions, signal })
  }

  #together(key: string): Promise<boolean> {
    return new Promise((answer) => {
      this.#waiting.push({ key, answer })
      if (!this.#isRunning) void this.#run()
    })
  }

  /** Deletes what waits, and what begins to wait meanwhile. */
  async #run(): Promise<void> {
    this.#isRunning = true
    // Others of this turn are still to come.
    await setImmediate()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_KEYS)
      const left = await this.#deleteAll(batch.map(({ key }) => key))
      for (const { key, answer } of batch) answer(!left.has(key))
    }
    this.#isRunning = false
  }

  /** Returns which are left, maybe. Why, the request for each says. */
  async #deleteAll(keys: readonly string[]): Promise<ReadonlySet<string>> {
    const all = new Set(keys)
    if (all.size < 2) return all
    const Delete = { Objects: [...all].map((Key) => ({ Key })), Quiet: true }
    try {
      const { bucket } = this.#connection
      const { Errors = [] } = await this.#connection.call({ side: 'write', key: '' }, (s3) =>
        s3.deleteObjects({ Bucket: bucket, Delete }),
      )
      return new Set(Errors.map(({ Key = '' }) => Key))
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (statusOf(cause) !== undefined) this.#takesMany = false
      return all
    }
  }
}
