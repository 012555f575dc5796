import { randomUUID } from 'node:crypto'
import { SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { type S3Access, S3Connection } from './s3-client.ts'
import { idOf, retainObject } from './s3-copy.ts'
import { createLastWins, createOnce, keepsConditions, putSmall } from './s3-create.ts'
import { listUploads } from './s3-delete.ts'
import { Deletions } from './s3-deletions.ts'
import { isDenied, type S3Side, s3CodeOf } from './s3-errors.ts'
import { parseS3Location } from './s3-location.ts'
import { PartMemory } from './s3-parts.ts'
import { KeptBytes, publish } from './s3-publish.ts'
import { readObject } from './s3-read.ts'
import { upload } from './s3-upload.ts'
import type { ByteRange, Staged, Store, StoredObject, Upload } from './store.ts'
import { checkName } from './store.ts'

const PROBE_PREFIX = 'snap-probe-'

/** True for the name of an object that only tells what a store can do; one that is old was left by a run that died. */
export function isProbe(name: string): boolean {
  return name.startsWith(PROBE_PREFIX) && name.endsWith(PENDING_SUFFIX)
}

/** Time for what is removed after a failure, ms. */
const CLEAN_UP_MS = 5_000

/** How a store in a bucket is reached and written to. */
export interface S3Options extends S3Access {
  /** Lock what is published for so many days. */
  readonly lockDays?: number | undefined
  /** Bytes of the parts of uploads and copies, for tests; the store may want 5 MiB at least. */
  readonly partSize?: number | undefined
}

/**
 * The objects of a bucket under a prefix, up to the next slash. Unfinished ones are objects too, with `.pending` names: to
 * publish is to copy within the store and to delete. Nothing here trusts what a store says of hashes.
 */
export class S3Store implements Store {
  readonly url: string
  readonly #prefix: string
  readonly #connection: S3Connection
  readonly #options: S3Options
  readonly #memory = new PartMemory()
  readonly #kept = new KeptBytes()
  readonly #undeleted = new Set<string>()
  readonly #deletions: Deletions
  #createsOnce: Promise<boolean> | undefined
  #canLock: Promise<void> | undefined

  /**
   * @param location `s3://bucket/prefix`
   * @throws SnapError `E_USAGE` if it is nothing of the kind
   */
  constructor(location: string, options: S3Options = {}) {
    const place = parseS3Location(location)
    this.url = `s3://${place.bucket}/${place.prefix}`.replace(/\/$/, '')
    this.#prefix = place.prefix
    this.#connection = new S3Connection(place, options)
    this.#deletions = new Deletions(this.#connection)
    this.#options = options
  }

  get undeleted(): number {
    return this.#undeleted.size
  }

  async *list(signal?: AbortSignal, prefix = ''): AsyncGenerator<StoredObject> {
    const { bucket } = this.#connection
    const all = { Bucket: bucket, Prefix: this.#prefix + prefix, Delimiter: '/' }
    const request = { side: 'read', key: this.#prefix, signal } as const
    let next: string | undefined
    do {
      const from = { ...all, ...(next !== undefined && { ContinuationToken: next }) }
      const page = await this.#connection.call(request, (s3, options) =>
        s3.listObjectsV2(from, options),
      )
      for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
        signal?.throwIfAborted()
        const name = Key.slice(this.#prefix.length)
        // Consoles make an object with the prefix as its name, to show it as a folder.
        if (name !== '') yield { name, size: Size, modified: LastModified }
      }
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (next !== undefined)
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    return await this.#stat(name, 'read', signal)
  }

  async *read(name: string, range?: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* readObject(this.#connection, { key: this.#key(name), range, signal })
  }

  async stage(
    name: string,
    body: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Staged> {
    const to = this.#key(name)
    const pending = name + PENDING_SUFFIX
    await this.#checkLock(signal)
    const id = randomUUID()
    const { partSize, lockDays } = this.#options
    const sizeOf = partSize === undefined ? undefined : () => partSize
    const memory = this.#memory
    const source = { key: this.#key(pending), body, id, memory, signal, sizeOf }
    const from = await upload(this.#connection, source).catch(async (error: unknown) => {
      // A whole object may be there although its answer was lost. What is left of it, a later run removes.
      await this.delete(pending, AbortSignal.timeout(CLEAN_UP_MS)).catch(() => {})
      throw error
    })
    const bytes = this.#kept.keep(from.bytes)
    let isLeft = true
    const takeName = async () => {
      // Only where it is known already: to find out takes more than it saves, and may leave an object.
      const again = (await this.#createsOnce) ? bytes : undefined
      await publish(this.#connection, { from, id, to, lockDays, partSize }, again)
    }
    const discard = async () => {
      if (!isLeft) return
      await this.delete(pending)
      isLeft = false
      this.#kept.forget(bytes)
    }
    return {
      name,
      size: from.size,
      read: (range, reading) => this.read(pending, range, reading),
      takeName,
      publish: async () => {
        await takeName()
        await discard()
      },
      discard,
    }
  }

  async reserve(name: string, text: string, signal?: AbortSignal): Promise<boolean> {
    const key = this.#key(name)
    const pending = name + PENDING_SUFFIX
    if (!(await this.create(pending, text, signal))) return false
    // Looked at afterwards: before, another run could have published in between.
    if ((await idOf(this.#connection, key, signal)) === undefined) return true
    await this.delete(pending, signal)
    return false
  }

  createsOnce(signal?: AbortSignal): Promise<boolean> {
    this.#createsOnce ??= this.#probe(signal).catch((error: unknown) => {
      this.#createsOnce = undefined
      throw error
    })
    return this.#createsOnce
  }

  async create(name: string, text: string, signal?: AbortSignal): Promise<boolean> {
    const object = { key: this.#key(name), text, signal }
    if (await this.createsOnce(signal)) return await createOnce(this.#connection, object)
    return await createLastWins(this.#connection, object)
  }

  async write(name: string, text: string, signal?: AbortSignal): Promise<StoredObject> {
    const object = { key: this.#key(name), text, signal }
    await putSmall(this.#connection, object, { id: randomUUID() })
    const written = await this.#stat(name, 'write', signal)
    if (written !== undefined) return written
    throw new SnapError('E_DESTINATION', `${this.url}/${name}: was removed while it was written`)
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    const key = this.#key(name)
    const mayStay = name.endsWith(PENDING_SUFFIX)
    // What was refused once is refused for all of them: there may be thousands.
    if (mayStay && this.#undeleted.size > 0) {
      this.#undeleted.add(name)
      return
    }
    try {
      await this.#deletions.delete(key, signal)
    } catch (error) {
      if (!mayStay || !isDenied(error)) throw error
      this.#undeleted.add(name)
    }
  }

  async retain(name: string, signal?: AbortSignal): Promise<void> {
    const { lockDays } = this.#options
    if (lockDays === undefined) return
    await retainObject(this.#connection, { to: this.#key(name), lockDays, signal })
  }

  async *uploads(signal?: AbortSignal): AsyncGenerator<Upload> {
    try {
      yield* listUploads(this.#connection, { prefix: this.#prefix, signal })
    } catch (error) {
      // A key that may only add objects has nothing to give up.
      if (!isDenied(error)) throw error
    }
  }

  /** A prefix is there as long as an object is. */
  async abandon(): Promise<void> {}

  async #stat(
    name: string,
    side: S3Side,
    signal: AbortSignal | undefined,
  ): Promise<StoredObject | undefined> {
    const found = await this.#connection.head(this.#key(name), { side, signal })
    if (found === undefined) return undefined
    const { ContentLength = 0, LastModified = new Date(0), ObjectLockRetainUntilDate } = found
    const object = { name, size: ContentLength, modified: LastModified }
    return ObjectLockRetainUntilDate === undefined
      ? object
      : { ...object, lockedUntil: ObjectLockRetainUntilDate }
  }

  async #probe(signal: AbortSignal | undefined): Promise<boolean> {
    const name = PROBE_PREFIX + randomUUID() + PENDING_SUFFIX
    const keeps = await keepsConditions(this.#connection, { key: this.#key(name), signal })
    await this.delete(name, signal)
    return keeps
  }

  /** Learns before the first byte, not after the last, that the bucket takes no locks. */
  async #checkLock(signal: AbortSignal | undefined): Promise<void> {
    if (this.#options.lockDays === undefined) return
    this.#canLock ??= checkLock(this.#connection)
    await this.#canLock
    signal?.throwIfAborted()
  }

  #key(name: string): string {
    checkName(name)
    return this.#prefix + name
  }
}

async function checkLock(connection: S3Connection): Promise<void> {
  const { bucket } = connection
  try {
    await connection.call({ side: 'write', key: '' }, (s3, options) =>
      s3.getObjectLockConfiguration({ Bucket: bucket }, options),
    )
  } catch (error) {
    // A key that may not ask may still be allowed to lock.
    if (isDenied(error)) return
    if (s3CodeOf(error) !== 'ObjectLockConfigurationNotFoundError') throw error
    throw new SnapError('E_DESTINATION', `s3://${bucket} was made without object lock`, {
      hint: 'make a bucket with object lock, or leave --object-lock-days out',
      cause: error,
    })
  }
}
