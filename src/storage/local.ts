import { type Stats, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { lstat, mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import {
  createExclusively,
  destinationError,
  fsyncDirectory,
  writeFileDurably,
  writeFileSynced,
} from '../io/durable.ts'
import { readSome } from '../io/file-calls.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { temporaryName } from '../io/process-owner.ts'
import { RECYCLED_SIZE, recycle, takeBuffer } from '../io/recycled.ts'
import { StagedFile } from './staged-file.ts'
import type { ByteRange, Staged, Store, StoredObject } from './store.ts'
import { checkName } from './store.ts'

/** So many files are looked at before the loop turns. */
const LISTED_AT_ONCE = 256

const HINTS: Readonly<Record<string, string>> = {
  ENOTDIR: 'name the directory that the sets are in; --set chooses one of them',
  EACCES: 'the files of a set can be read by their owner alone: run as that user',
  EPERM: 'the files of a set can be read by their owner alone: run as that user',
}

const NOT_THERE = new Set(['ENOENT', 'ENOTDIR'])

function sourceError(error: unknown, path: string): SnapError {
  if (error instanceof SnapError) return error
  return new SnapError('E_SOURCE', `${path}: ${messageOf(error)}`, {
    cause: error,
    hint: HINTS[errnoOf(error) ?? ''],
  })
}

/** Describes the file at `path`; undefined if there is none or it is something else. */
async function describe(path: string, name: string): Promise<StoredObject | undefined> {
  try {
    return described(name, await stat(path))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw sourceError(error, path)
  }
}

/** The same without a turn of the loop, which costs ten times the call where files are many. */
function describeNow(path: string, name: string): StoredObject | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && described(name, found)
}

function described(name: string, found: Stats): StoredObject | undefined {
  return found.isFile() ? { name, size: found.size, modified: found.mtime } : undefined
}

/** Files of one directory; sub-directories are not looked at. Made on first use of what writes, mode 0700, files 0600. */
export class LocalStore implements Store {
  readonly url: string
  readonly undeleted = 0
  /** The directory being made, or there. */
  #ready: Promise<void> | undefined
  /** The highest directory that was made. */
  #made: string | undefined

  /** @param path the directory; relative to the working directory of now */
  constructor(path: string) {
    this.url = resolve(path)
  }

  async *list(signal?: AbortSignal, prefix = ''): AsyncGenerator<StoredObject> {
    try {
      const names = await readdir(this.url)
      for (const [i, name] of names.entries()) {
        if (i % LISTED_AT_ONCE === 0) await setImmediate(undefined, { signal })
        if (!name.startsWith(prefix)) continue
        const found = describeNow(`${this.url}/${name}`, name)
        if (found !== undefined) yield found
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (errnoOf(error) === 'ENOENT') return
      throw sourceError(error, this.url)
    }
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    return await describe(this.#path(name), name)
  }

  pathOf(name: string): string {
    return this.#path(name)
  }

  async *read(name: string, range?: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const path = this.#path(name)
    const handle = await openStored(path)
    try {
      let at = range?.start ?? 0
      const end = range?.end ?? Number.POSITIVE_INFINITY
      while (at < end) {
        signal?.throwIfAborted()
        const chunk = await readChunk(handle, path, { start: at, end })
        if (chunk.length === 0) break
        at += chunk.length
        yield chunk
      }
      if (range !== undefined && at < end) {
        throw new SnapError('E_INTEGRITY', `${path}: ends at ${at}, expected ${end} bytes`)
      }
    } finally {
      await handle.close()
    }
  }

  async stage(
    name: string,
    body: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Staged> {
    const path = this.#path(name)
    await this.#makeDirectory()
    const size = await writeFileSynced(path + PENDING_SUFFIX, body, { signal })
    return new StagedFile(this, name, size)
  }

  async reserve(name: string, text: string): Promise<boolean> {
    const path = this.#path(name)
    if (!(await this.#inDirectory(() => createExclusively(path + PENDING_SUFFIX, { text })))) {
      return false
    }
    // Looked at afterwards: before, another run could have published in between.
    const free = await lstat(path).then(
      () => false,
      () => true,
    )
    if (!free) await this.delete(name + PENDING_SUFFIX)
    return free
  }

  async createsOnce(): Promise<boolean> {
    return true
  }

  async create(name: string, text: string): Promise<boolean> {
    const path = this.#path(name)
    return await this.#inDirectory(() => createExclusively(path, { text }))
  }

  async write(name: string, text: string): Promise<StoredObject> {
    const path = this.#path(name)
    const pending = join(this.url, temporaryName())
    await this.#inDirectory(() => writeFileDurably(path, Buffer.from(text), { pending }))
    const written = await describe(path, name)
    if (written !== undefined) return written
    throw new SnapError('E_DESTINATION', `${path}: was removed while it was written`)
  }

  async delete(name: string): Promise<void> {
    const path = this.#path(name)
    try {
      await rm(path)
      // What is pending may come back after a power failure: the next run clears it away. Each shard has a note to be deleted.
      if (!name.endsWith(PENDING_SUFFIX)) await fsyncDirectory(this.url)
    } catch (error) {
      if (!NOT_THERE.has(errnoOf(error) ?? '')) throw destinationError(error, path)
    }
  }

  async abandon(): Promise<void> {
    if (this.#made === undefined || !(await removeEmpty(this.url, this.#made))) return
    this.#ready = undefined
    this.#made = undefined
  }

  #path(name: string): string {
    checkName(name)
    return join(this.url, name)
  }

  /** Does something in the directory. One that another run has made and removed in the same moment is made again. */
  async #inDirectory<T>(work: () => Promise<T>): Promise<T> {
    await this.#makeDirectory()
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof SnapError) || errnoOf(error.cause) !== 'ENOENT') throw error
      this.#ready = undefined
      await this.#makeDirectory()
      return await work()
    }
  }

  #makeDirectory(): Promise<void> {
    this.#ready ??= this.#make()
    return this.#ready
  }

  async #make(): Promise<void> {
    try {
      this.#made = await makeDirectories(this.url)
      if (this.#made === undefined) return
      for (let path = this.url; path.length >= this.#made.length; path = dirname(path)) {
        await fsyncDirectory(dirname(path))
      }
    } catch (error) {
      throw destinationError(error, this.url)
    }
  }
}

/**
 * Makes a directory and what is missing above it; returns the highest that was made. Not Node's recursive `mkdir`, which
 * never ends below a directory that takes no entries, such as /proc.
 */
async function makeDirectories(path: string): Promise<string | undefined> {
  try {
    return (await makeDirectory(path)) ? path : undefined
  } catch (error) {
    const parent = dirname(path)
    if (errnoOf(error) !== 'ENOENT' || parent === path) throw error
    const made = await makeDirectories(parent)
    try {
      return (await makeDirectory(path)) ? (made ?? path) : made
    } catch (failed) {
      if (made !== undefined) await removeEmpty(parent, made)
      throw failed
    }
  }
}

/** Removes a directory and those above it up to `top`; false if one of them is not empty, or stays for another reason. */
async function removeEmpty(directory: string, top: string): Promise<boolean> {
  for (let path = directory; path.length >= top.length; path = dirname(path)) {
    const removed = await rmdir(path).then(
      () => true,
      () => false,
    )
    if (!removed) return false
  }
  return true
}

/** Makes one directory; false if it is there, maybe since a moment. */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return false
    throw error
  }
}

async function openStored(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw sourceError(error, path)
    throw new SnapError('E_INTEGRITY', `${path} is missing`, { cause: error })
  }
}

/** Reads the next bytes of a range, at most {@link RECYCLED_SIZE}: the reader may recycle them. None at the end of the file. */
async function readChunk(
  handle: FileHandle,
  path: string,
  { start, end }: ByteRange,
): Promise<Uint8Array> {
  const length = Math.min(RECYCLED_SIZE, end - start)
  const buffer = length < RECYCLED_SIZE ? Buffer.allocUnsafe(length) : takeBuffer()
  try {
    const bytesRead = await readSome(handle, buffer, start)
    if (bytesRead === 0) recycle(buffer)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    throw sourceError(error, path)
  }
}
