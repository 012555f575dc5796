import { randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { asSnapError } from '../errors.ts'
import { BufferPool } from './buffer-pool.ts'
import { Gathered } from './gathered.ts'
import { bytesAccess, handleAccess, type RandomAccess } from './random-access.ts'
import { RECYCLED_SIZE, takeBuffer } from './recycled.ts'

/** Bytes a spool keeps in memory before it moves to a file. */
export const SPOOL_MEMORY = 8 * 1024 * 1024

/** Less than this is not worth a buffer of {@link SPOOL_MEMORY}. */
const LEAST_POOLED = 256 * 1024
/** Spools that are told how much comes may keep this much in memory, if their owner has few of them. */
export const LARGE_SPOOL_MEMORY = 2 * SPOOL_MEMORY
/** Memory of spools that are told how much comes, the smallest first. */
const POOLS = [SPOOL_MEMORY, LARGE_SPOOL_MEMORY].map((size) => new BufferPool(size, 4))

/** Where a {@link Spool} may put what does not fit into memory. */
export interface SpoolOptions {
  /** What is spooled, for messages. */
  readonly name: string
  readonly tempDir: string
  /** Bytes kept in memory; default {@link SPOOL_MEMORY}. */
  readonly memoryLimit?: number | undefined
  /**
   * Bytes that are to come, if that is known: what fits into memory is then moved once, into memory that is used again.
   * What was read of it is gone with {@link Spool.close}.
   */
  readonly size?: number | undefined
}

/**
 * Bytes written once and then read anywhere: in memory while small, else in a temporary file that has no name from the
 * moment it is open, so that nothing is left behind whatever happens.
 */
export class Spool {
  readonly #options: SpoolOptions
  #gathered: Gathered
  readonly #pool: BufferPool | undefined
  #pooled: Buffer | undefined
  #size = 0
  #handle: FileHandle | undefined

  constructor(options: SpoolOptions) {
    this.#options = options
    const { memoryLimit = SPOOL_MEMORY, size = 0 } = options
    if (size >= LEAST_POOLED && size <= memoryLimit)
      this.#pool = POOLS.find((pool) => size <= pool.size)
    this.#pooled = this.#pool?.take()
    this.#gathered = new Gathered(memoryLimit, this.#pooled)
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size
  }

  /**
   * Appends `chunk`, which may change afterwards.
   * @throws SnapError `E_DESTINATION` when the temporary directory is full or cannot be written
   */
  async write(chunk: Uint8Array): Promise<void> {
    const { memoryLimit = SPOOL_MEMORY, size = 0, tempDir, name } = this.#options
    this.#size += chunk.length
    if (this.#handle === undefined && Math.max(size, this.#size) <= memoryLimit) {
      this.#gathered.add(chunk)
      return
    }
    try {
      const handle = this.#handle ?? (await this.#openFile(tempDir))
      await writeAll(handle, chunk)
    } catch (error) {
      throw asSnapError(error, 'E_DESTINATION', `${name}: temporary file in ${tempDir}`)
    }
  }

  /** Returns all that was written for reading anywhere; closing it releases the spool. Nothing can be written after. */
  access(): RandomAccess {
    const { name } = this.#options
    if (this.#handle !== undefined) return handleAccess(this.#handle, name, this.#size)
    const access = bytesAccess(this.#gathered.bytes, name)
    return { ...access, close: async () => this.#release() }
  }

  /** Releases memory and file. May be called twice. */
  async close(): Promise<void> {
    this.#release()
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  /** Moves what is in memory into a file. */
  async #openFile(directory: string): Promise<FileHandle> {
    const handle = await openUnnamed(directory)
    this.#handle = handle
    await writeAll(handle, this.#gathered.bytes)
    this.#release()
    return handle
  }

  #release(): void {
    this.#gathered = new Gathered(0)
    if (this.#pooled) this.#pool?.give(this.#pooled)
    this.#pooled = undefined
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done)).bytesWritten
  }
}

/** Makes a temporary file that has no name any more, to be read and written. */
export async function openUnnamed(directory: string): Promise<FileHandle> {
  const path = join(directory, `snap-${process.pid}-${randomUUID()}.tmp`)
  const handle = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Writes all of `body` into a new spool and returns it for reading; on failure nothing is left. */
export async function spool(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: SpoolOptions,
): Promise<RandomAccess> {
  const target = new Spool(options)
  try {
    for await (const chunk of body) await target.write(chunk)
    return target.access()
  } catch (error) {
    await target.close()
    throw error
  }
}

/**
 * Yields all bytes of `source` in chunks that a connection may recycle once they have left the process. Until the next one is
 * asked for, and with nobody who recycles for ever, they are the caller's.
 */
export async function* readRecycled(source: RandomAccess): AsyncGenerator<Uint8Array> {
  if (source.readInto === undefined) {
    yield* readAll(source)
    return
  }
  for (let at = 0; at < source.size; at += RECYCLED_SIZE) {
    const bytes = takeBuffer().subarray(0, source.size - at)
    await source.readInto(bytes, at)
    yield bytes
  }
}

/** Yields the bytes of `source` from `offset` to its end in large chunks. */
export async function* readAll(
  source: RandomAccess,
  offset = 0,
  chunkSize = 1024 * 1024,
): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < source.size; at += chunkSize) {
    yield await source.read(at, Math.min(chunkSize, source.size - at))
  }
}
