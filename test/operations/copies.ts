import { thisProcess } from '../../src/io/process-owner.ts'
import { type CopyOptions, copy } from '../../src/operations/copy.ts'
import type { Staged, Store } from '../../src/storage/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { sha256Of } from '../portable/samples.ts'
import { storeOf } from './prune-sets.ts'

/** Where sets are copied to. It dies at the n-th call that changes something. */
export class Target extends MemoryStore {
  override readonly url = 'target'
  left: number

  constructor(
    files: Iterable<readonly [string, Uint8Array]> = [],
    left = Number.POSITIVE_INFINITY,
  ) {
    super(files)
    this.left = left
  }

  #live(): void {
    if (this.left <= 0) throw new Error('killed')
    this.left -= 1
  }

  override async stage(name: string, body: AsyncIterable<Uint8Array>): Promise<Staged> {
    this.#live()
    const staged = await super.stage(name, body)
    const live = () => this.#live()
    return {
      ...staged,
      publish: async () => {
        live()
        await staged.publish()
      },
      discard: async () => {
        live()
        await staged.discard()
      },
    }
  }

  override async reserve(name: string, text: string): Promise<boolean> {
    this.#live()
    return await super.reserve(name, text)
  }

  override async write(name: string, text: string) {
    this.#live()
    return await super.write(name, text)
  }

  override async delete(name: string): Promise<void> {
    this.#live()
    await super.delete(name)
  }
}

/** Copies all sets, unless `options` say otherwise. */
export async function copied(
  source: Store,
  target: MemoryStore,
  options: Partial<CopyOptions> = {},
) {
  return await copy({
    ...{ source, target, sets: [], jobs: 2, dryRun: false },
    signal: new AbortController().signal,
    ...options,
  })
}

/** What became of which set, newest first. */
export const actions = (sets: Awaited<ReturnType<typeof copied>>) =>
  sets.map(({ set, action }) => `${set} ${action}`)

/** The hashes of files by their names. */
export const filesOf = ({ files }: MemoryStore) =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, sha256Of(bytes)]))

/** Sets that share archives, or go by older ones. */
export const chain = () =>
  storeOf(
    { at: 0 },
    { at: 1, own: [2], shared: { 1: 0, 3: 0 } },
    { at: 2, own: [3], unchanged: { 1: 1, 2: 1 } },
    { at: 3, own: [1, 2] },
  )

/** Makes a reservation one of a process that has ended. */
export function gone(name: string, bytes: Uint8Array): Uint8Array {
  if (!/^\w+\.pending$/.test(name)) return bytes
  return Buffer.from(JSON.stringify({ ...thisProcess(), startTime: '1' }))
}
