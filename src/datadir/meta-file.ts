import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { fsyncDirectory, writeFileSynced } from '../io/durable.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import type { Data, DatabaseInfo } from '../meta/index.ts'
import { decodeData, emptyData, encodeData, findDatabase, MAX_META_SIZE } from '../meta/index.ts'
import { statIfThere } from './layout.ts'
import { fileMode, giveTo, type Owner, ownerOf } from './owner.ts'

/** The metastore's file in the meta directory. */
export const META_FILE = 'meta.db'

/** What is known of the file as it stood when it was read. */
interface Loaded {
  readonly stamp: string
  readonly bytes: Uint8Array
  readonly data: Data
}

/** Called before every change; throws if the directory may not be changed now. */
export type Permit = () => Promise<void>

/** Everything that changes when a file is written or replaced. */
function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

/**
 * The metastore of a data directory. A running influxd replaces the file by rename whenever its metadata change, so the file
 * is looked at again for every request, and decoded again only if it is another one.
 */
export class MetaFile {
  readonly #path: string
  readonly #directory: string
  readonly #permit: Permit
  #loaded: Loaded | undefined
  #queue: Promise<unknown> = Promise.resolve()

  constructor(metaDir: string, permit: Permit) {
    this.#directory = metaDir
    this.#path = join(metaDir, META_FILE)
    this.#permit = permit
  }

  /** Returns the file's bytes as they are. The caller must not change them. */
  async marshalBinary(): Promise<Uint8Array> {
    return (await this.#load()).bytes
  }

  /** Returns the database of that name. The caller must not change it. */
  async database(name: string): Promise<DatabaseInfo | undefined> {
    return findDatabase((await this.#load()).data, name)
  }

  /** Returns all databases. The caller must not change them. */
  async databases(): Promise<DatabaseInfo[]> {
    return (await this.#load()).data.databases
  }

  /** Returns all metadata. The caller must not change them, but may give a changed copy to {@link setData}. */
  async data(): Promise<Data> {
    return (await this.#load()).data
  }

  /**
   * Replaces the metadata: written whole under another name, synced, renamed over the old file, with its owner and mode.
   * `data` must come from {@link data}: its `index` tells whether something else was written meanwhile, and is one more in
   * the file. Unknown fields of the old file stay if `data` still carries them.
   * @throws SnapError `E_DESTINATION` if the metadata changed since `data` was read (retryable), or on failure
   */
  setData(data: Data): Promise<void> {
    const done = this.#queue.then(() => this.#replace(data))
    this.#queue = done.catch(() => {})
    return done
  }

  /** True if there is a file, whatever is in it. */
  async isThere(): Promise<boolean> {
    return (await statIfThere(this.#path)) !== undefined
  }

  /** Writes the metadata of a brand new influxd. */
  async create(): Promise<void> {
    await this.#permit()
    await this.#write(encodeData(emptyData()))
  }

  async #replace(data: Data): Promise<void> {
    await this.#permit()
    const { index } = (await this.#load()).data
    if (data.index !== index) {
      throw new SnapError(
        'E_DESTINATION',
        `${this.#path}: changed meanwhile, expected index ${data.index}, got ${index}`,
        { retryable: true },
      )
    }
    const next = decodeData(encodeData(data), this.#path)
    next.index += 1n
    await this.#write(encodeData(next))
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const pending = this.#path + PENDING_SUFFIX
    const owner = await this.#owner()
    await writeFileSynced(pending, bytes, { mode: fileMode(owner) })
    try {
      await giveTo(pending, owner)
      await rename(pending, this.#path)
    } catch (error) {
      await rm(pending, { force: true })
      throw asSnapError(error, 'E_DESTINATION', this.#path)
    }
    await fsyncDirectory(this.#directory)
  }

  /** The owner of the file that is there, else of its directory. */
  async #owner(): Promise<Owner> {
    return await ownerOf((await this.isThere()) ? this.#path : this.#directory)
  }

  async #load(): Promise<Loaded> {
    const handle = await this.#open()
    try {
      const stats = await handle.stat({ bigint: true })
      const stamp = stampOf(stats)
      if (this.#loaded?.stamp === stamp) return this.#loaded
      if (stats.size > MAX_META_SIZE) {
        throw new SnapError(
          'E_FORMAT',
          `${this.#path}: ${stats.size} bytes, expected at most ${MAX_META_SIZE}`,
        )
      }
      const bytes = await handle.readFile()
      this.#loaded = { stamp, bytes, data: decodeData(bytes, this.#path) }
      return this.#loaded
    } finally {
      await handle.close()
    }
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#path, constants.O_RDONLY)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw asSnapError(error, 'E_SOURCE', this.#path)
      throw new SnapError('E_SOURCE', `${this.#path}: there is no metastore`, {
        hint: 'is this the meta directory of an influxd?',
      })
    }
  }
}
