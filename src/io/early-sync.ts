import type { FileHandle } from 'node:fs/promises'

/** Bytes after which the disk begins: with twice as many it waited for the end of files, and they for it. */
const SYNC_SIZE = 8 * 1024 * 1024

/**
 * Has the disk take in a file while more of it is written. Nobody waits for that before the end: one sync runs at a time, and what
 * it says is kept, as the system says it once.
 */
export class EarlySync {
  readonly #handle: FileHandle
  #synced = 0
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** @param handle stays the caller's, who syncs all of it, and closes it after {@link settled} */
  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** To be told how large the file is by now. */
  wrote(size: number): void {
    if (this.#running !== undefined || size - this.#synced < SYNC_SIZE) return
    this.#synced = size
    this.#running = this.#sync()
  }

  /** Waits until no sync runs. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** As {@link settled}. @throws the system's error of the first sync that failed */
  async end(): Promise<void> {
    await this.#running
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #sync(): Promise<void> {
    try {
      await this.#handle.datasync()
    } catch (error) {
      this.#failure ??= { error }
    } finally {
      this.#running = undefined
    }
  }
}
