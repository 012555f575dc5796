import { rm } from 'node:fs/promises'
import { publishFile } from '../io/durable.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import type { ByteRange, Staged, Store } from './store.ts'

/** A whole file under its `.pending` name. A class, as a run may have three for each of 10,000 shards. */
export class StagedFile implements Staged {
  readonly name: string
  readonly size: number
  /** Of a directory. */
  readonly #store: Pick<Store, 'url' | 'read'>
  #isOpen = true

  constructor(store: Pick<Store, 'url' | 'read'>, name: string, size: number) {
    this.#store = store
    this.name = name
    this.size = size
  }

  read(range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#store.read(this.name + PENDING_SUFFIX, range, signal)
  }

  async publish(): Promise<void> {
    await publishFile(this.#path + PENDING_SUFFIX, this.#path)
    this.#isOpen = false
  }

  async discard(): Promise<void> {
    if (this.#isOpen) await rm(this.#path + PENDING_SUFFIX, { force: true })
    this.#isOpen = false
  }

  get #path(): string {
    return `${this.#store.url}/${this.name}`
  }
}
