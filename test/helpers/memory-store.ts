import { SnapError } from '../../src/errors.ts'
import { PENDING_SUFFIX } from '../../src/io/pending.ts'
import type { ByteRange, Staged, Store, StoredObject } from '../../src/storage/index.ts'

/** A store in memory, for tests that change what is stored a thousand times. */
export class MemoryStore implements Store {
  readonly url: string = 'memory'
  readonly undeleted = 0
  readonly files: Map<string, Uint8Array>
  /** Bytes that were read so far. */
  bytesRead = 0
  /** What {@link Staged.read} is left out for. */
  readonly canReadStaged: boolean

  constructor(
    files: Iterable<readonly [string, Uint8Array]> = [],
    { canReadStaged = true }: { readonly canReadStaged?: boolean } = {},
  ) {
    this.files = new Map(files)
    this.canReadStaged = canReadStaged
  }

  /** The same files in a store of their own. */
  copy(): MemoryStore {
    return new MemoryStore([...this.files].map(([name, bytes]) => [name, bytes.slice()]))
  }

  async *list(_signal?: AbortSignal, prefix = ''): AsyncGenerator<StoredObject> {
    for (const name of this.files.keys()) {
      if (!name.startsWith(prefix)) continue
      const found = await this.stat(name)
      if (found !== undefined) yield found
    }
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    const size = this.files.get(name)?.length
    return size === undefined ? undefined : { name, size, modified: new Date(0) }
  }

  async *read(name: string, range?: ByteRange): AsyncGenerator<Uint8Array> {
    const bytes = this.files.get(name)
    if (bytes === undefined) throw new SnapError('E_INTEGRITY', `memory/${name} is missing`)
    if (range !== undefined && range.end > bytes.length) {
      throw new SnapError('E_INTEGRITY', `memory/${name}: ends at ${bytes.length}`)
    }
    const wanted = bytes.subarray(range?.start, range?.end)
    this.bytesRead += wanted.length
    if (wanted.length > 0) yield wanted
  }

  async stage(name: string, body: AsyncIterable<Uint8Array>): Promise<Staged> {
    const pending = name + PENDING_SUFFIX
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(Buffer.from(chunk))
    const bytes = Buffer.concat(chunks)
    this.files.set(pending, bytes)
    return {
      name,
      size: bytes.length,
      ...(this.canReadStaged && { read: (range: ByteRange) => this.read(pending, range) }),
      publish: async () => {
        this.files.set(name, bytes)
        this.files.delete(pending)
      },
      discard: async () => void this.files.delete(pending),
    }
  }

  async reserve(name: string, text: string): Promise<boolean> {
    const pending = name + PENDING_SUFFIX
    if (this.files.has(name) || this.files.has(pending)) return false
    this.files.set(pending, Buffer.from(text))
    return true
  }

  async createsOnce(): Promise<boolean> {
    return true
  }

  async create(name: string, text: string): Promise<boolean> {
    if (this.files.has(name)) return false
    this.files.set(name, Buffer.from(text))
    return true
  }

  async write(name: string, text: string): Promise<StoredObject> {
    this.files.set(name, Buffer.from(text))
    return { name, size: Buffer.byteLength(text), modified: new Date() }
  }

  async delete(name: string): Promise<void> {
    this.files.delete(name)
  }

  async abandon(): Promise<void> {}
}
