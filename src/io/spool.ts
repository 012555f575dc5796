import { asSnapError, SnapError } from '../errors.ts'
import { type BufferPool, sharedPool } from './buffer-pool.ts'
import { writeAt } from './file-calls.ts'
import { Gathered } from './gathered.ts'
import { bytesAccess, handleAccess, type RandomAccess } from './random-access.ts'
import {
  LARGE_RECYCLED_SIZE,
  RECYCLED_SIZE,
  type RecycledSize,
  recycle,
  takeBuffer,
} from './recycled.ts'
import { closeTemporary, openTemporary, type TemporaryFile } from './temporary-file.ts'

/** Bytes a spool keeps in memory before it moves to a file. */
export const SPOOL_MEMORY = 8 * 1024 * 1024

/** Less than this is not worth a buffer of {@link SPOOL_MEMORY}. */
const LEAST_POOLED = 256 * 1024
/** Spools that are told how much comes may keep this much in memory, if their owner has few of them. */
export const LARGE_SPOOL_MEMORY = 2 * SPOOL_MEMORY
/** Memory of spools that are told how much comes, the smallest first. Other threads may read it. */
const POOLS = [SPOOL_MEMORY, LARGE_SPOOL_MEMORY].map(sharedPool)

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
  #file: TemporaryFile | undefined

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
    const at = this.#size
    this.#size += chunk.length
    if (this.#file === undefined && Math.max(size, this.#size) <= memoryLimit) {
      this.#gathered.add(chunk)
      return
    }
    try {
      const file = this.#file ?? (await this.#openFile(tempDir))
      await writeAt(file.handle, chunk, at)
    } catch (error) {
      throw asSnapError(error, 'E_DESTINATION', `${name}: temporary file in ${tempDir}`)
    }
  }

  /** As {@link write}, of a chunk that nobody looks at afterwards: its memory is used again. */
  async consume(chunk: Uint8Array): Promise<void> {
    await this.write(chunk)
    recycle(chunk)
  }

  /** Returns all that was written for reading anywhere; closing it releases the spool. Nothing can be written after. */
  access(): RandomAccess {
    const { name } = this.#options
    const file = this.#file
    const close = () => this.close()
    if (file === undefined) return { ...bytesAccess(this.#gathered.bytes, name), close }
    const { readInto, ...access } = handleAccess(file.handle, name, this.#size)
    // Somebody else may have the file then.
    const open = <T>(work: () => T): T => {
      if (this.#file === file) return work()
      throw new SnapError('E_FAILED', `${name}: read after it was closed`)
    }
    return {
      ...access,
      read: async (offset, length) => await open(() => access.read(offset, length)),
      readInto: async (bytes, offset) => await open(() => readInto(bytes, offset)),
      close,
    }
  }

  /** Releases memory and file. May be called twice. */
  async close(): Promise<void> {
    this.#release()
    const file = this.#file
    this.#file = undefined
    if (file) await closeTemporary(file, this.#size)
  }

  /** Moves what is in memory into a file. */
  async #openFile(directory: string): Promise<TemporaryFile> {
    const file = await openTemporary(directory)
    this.#file = file
    await writeAt(file.handle, this.#gathered.bytes, 0)
    this.#release()
    return file
  }

  #release(): void {
    this.#gathered = new Gathered(0)
    if (this.#pooled) this.#pool?.give(this.#pooled)
    this.#pooled = undefined
  }
}

/**
 * Returns a spool for what is left of a file of `size` bytes. Of a large one that is likely to be large, and goes into a file at
 * once: it would move out of memory soon. Its memory is not used again, as what is sent of it may be on its way for long.
 */
export function spoolOfPart({ size, ...options }: SpoolOptions & { readonly size: number }): Spool {
  return new Spool({ ...options, memoryLimit: size > SPOOL_MEMORY ? 0 : SPOOL_MEMORY })
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
 * @param sizeOfNext asked for each chunk
 */
export async function* readRecycled(
  source: RandomAccess,
  sizeOfNext: () => RecycledSize = () => RECYCLED_SIZE,
): AsyncGenerator<Uint8Array> {
  if (source.readInto === undefined) {
    yield* readAll(source)
    return
  }
  for (let at = 0; at < source.size; ) {
    const bytes = takeBuffer(sizeOfNext()).subarray(0, source.size - at)
    await source.readInto(bytes, at)
    yield bytes
    at += bytes.length
  }
}

/** So many files at a time are read in large pieces; more than that would take too much memory. */
const FEW = 2
let reading = 0

/** As {@link readRecycled}, in large chunks as long as few files are read so: each is a way from thread to thread. */
export async function* readLarge(source: RandomAccess): AsyncGenerator<Uint8Array> {
  reading++
  try {
    yield* readRecycled(source, () => (reading > FEW ? RECYCLED_SIZE : LARGE_RECYCLED_SIZE))
  } finally {
    reading--
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
