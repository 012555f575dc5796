import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { errnoOf } from '../errors.ts'
import { BufferPool } from './buffer-pool.ts'
import { writeAt } from './file-calls.ts'

// of the JavaScript API only what is used here: the node types do not have it
declare const WebAssembly: {
  Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
}

/** What is written past the cache begins at a multiple of this and is as long as one: enough for any disk. */
const ALIGNMENT = 4096
/** Bytes that are written past the cache at a time: with a quarter of it a disk was a third slower, with four times it no faster. */
const PIECE_SIZE = 1024 * 1024
/** Bytes at the start of a file that the system keeps in memory: small files are many, and what is read again soon. */
const CACHED_SIZE = 4 * 1024 * 1024

/** What file systems say that let a file be opened for direct writes and have none. */
const REFUSALS: ReadonlySet<string | undefined> = new Set(['EINVAL', 'ENOTSUP'])

const WASM_PAGE = 64 * 1024
/** A direct write wants memory that begins with a page. Node has no other that does for sure than that of WebAssembly. */
const PIECES = new BufferPool(PIECE_SIZE, 8, (size) =>
  Buffer.from(new WebAssembly.Memory({ initial: size / WASM_PAGE }).buffer),
)

/**
 * Writes a file from its start to its end. What comes after its first bytes goes past the memory in which the system keeps
 * files: to the disk at once, while more is made, where the system would begin when a tenth of its memory is to be written; and
 * what others have in that memory stays there. To get memory for what is kept also takes longer than the disk takes, in a
 * virtual machine whose host has to find it. Where the file system has no such writes (`O_DIRECT` of open(2)) all of it goes
 * the usual way. Up to two pieces are not in the file before {@link LargeFile.flush}. The handle stays the caller's, who syncs
 * and closes it.
 */
export class LargeFile {
  readonly #handle: FileHandle
  readonly #cached: number
  #size = 0
  #past: PastCache | undefined

  /**
   * @param handle an empty file that is open for writing
   * @param cached bytes at its start that are written the usual way
   */
  constructor(handle: FileHandle, cached = CACHED_SIZE) {
    this.#handle = handle
    this.#cached = cached
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size
  }

  /** Appends bytes, which may change afterwards. @throws the system's error, maybe for earlier bytes */
  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    if (this.#past === undefined) {
      const left = this.#cached - this.#size
      const length = left > 0 ? bytes.length : -this.#size & (ALIGNMENT - 1)
      await writeAt(this.#handle, bytes.subarray(0, length), this.#size)
      this.#size += Math.min(length, bytes.length)
      rest = bytes.subarray(length)
      if (rest.length === 0) return
      this.#past = new PastCache(this.#handle, await openPastCache(this.#handle), this.#size)
    }
    this.#size += rest.length
    await this.#past.write(rest)
  }

  /** Returns once the system has all of it. @throws as {@link write} */
  async flush(): Promise<void> {
    await this.#past?.flush()
  }

  /** Lets go of all but the handle. To be called once, whatever happened. */
  async close(): Promise<void> {
    await this.#past?.close()
  }
}

/** What is written past the cache: one piece is filled while the one before it is written. */
class PastCache {
  readonly #usual: FileHandle
  readonly #direct: FileHandle | undefined
  #isRefused: boolean
  #filling = PIECES.take()
  #other = PIECES.take()
  #filled = 0
  #at: number
  #writing: Promise<void> = Promise.resolve()

  constructor(usual: FileHandle, direct: FileHandle | undefined, at: number) {
    this.#usual = usual
    this.#direct = direct
    this.#isRefused = direct === undefined
    this.#at = at
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + PIECE_SIZE - this.#filled)
      this.#filling.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === PIECE_SIZE) await this.#next()
    }
  }

  async flush(): Promise<void> {
    await this.#next()
    await this.#writing
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    PIECES.give(this.#filling)
    PIECES.give(this.#other)
    await this.#direct?.close()
  }

  /** Begins to write what was filled, once the piece before it is written. */
  async #next(): Promise<void> {
    await this.#writing
    const bytes = this.#filling.subarray(0, this.#filled)
    this.#writing = this.#put(bytes, this.#at)
    // Whoever waits for it is told.
    this.#writing.catch(() => {})
    this.#at += bytes.length
    this.#filled = 0
    ;[this.#filling, this.#other] = [this.#other, this.#filling]
  }

  async #put(bytes: Uint8Array, at: number): Promise<void> {
    let done = 0
    if (this.#direct !== undefined && !this.#isRefused) {
      done = await this.#putDirectly(this.#direct, bytes, at)
    }
    // The end of the file, and all of it where it is refused
    await writeAt(this.#usual, bytes.subarray(done), at + done)
  }

  /** Writes as many pages as there are, and returns how many bytes it was: none if the file system refuses. */
  async #putDirectly(direct: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
    const length = bytes.length & -ALIGNMENT
    try {
      return length === 0 ? 0 : (await direct.write(bytes, 0, length, at)).bytesWritten
    } catch (error) {
      if (!REFUSALS.has(errnoOf(error))) throw error
      this.#isRefused = true
      return 0
    }
  }
}

/** Opens the file of a handle to be written past the cache; undefined where the system cannot. */
async function openPastCache(handle: FileHandle): Promise<FileHandle | undefined> {
  const { O_WRONLY, O_DIRECT } = constants
  if (O_DIRECT === undefined) return undefined
  // The file itself, whatever has its name meanwhile
  return await open(`/proc/self/fd/${handle.fd}`, O_WRONLY | O_DIRECT).catch(() => undefined)
}
