import { createHash } from 'node:crypto'
import {
  checkEnd,
  cutHeader,
  type Identities,
  MAX_HEAD_SIZE,
  NOBODY,
  openHead,
  readFile,
  readFileRange,
  type SealedFile,
  USUAL_HEAD_SIZE,
} from '../age/index.ts'
import { SnapError } from '../errors.ts'
import { isSealedName, openedName, parseFileName, sealedName } from '../portable/names.ts'
import { readClearCatalog } from '../portable/set-files.ts'
import type { ByteRange, Staged, Store, StoredObject } from '../storage/index.ts'

/** Files whose head is remembered, so that reading them from the middle does not begin at the beginning each time. */
const KEPT_FILES = 4096

/**
 * A store as it would be without encryption: encrypted files of sets stand in it under the names that they have without,
 * in place of what has these names, and are decrypted when they are read. All else is as in the store itself. Sizes that
 * are listed are those of what is stored.
 *
 * The one place that joins names, keys and ciphertext; whoever reads sets need not know that there are encrypted ones.
 */
export class OpenedStore implements Store {
  readonly url: string
  /** The store itself. */
  readonly stored: Store
  readonly #identities: Identities
  /** Whether what was listed under a name is encrypted. */
  #listed: ReadonlyMap<string, boolean> = new Map()
  readonly #files = new Map<string, Promise<SealedFile>>()

  /** @param identities what files are decrypted with; without them encrypted ones are listed, and reading them fails */
  constructor(stored: Store, identities: Identities = NOBODY) {
    this.url = stored.url
    this.stored = stored
    this.#identities = identities
  }

  async *list(signal?: AbortSignal, prefix?: string): AsyncGenerator<StoredObject> {
    const objects = new Map<string, StoredObject>()
    const isSealed = new Map<string, boolean>()
    for await (const object of this.stored.list(signal, prefix)) {
      const sealed = isSealedFile(object.name)
      const name = sealed ? openedName(object.name) : object.name
      // Of a file that is there twice the encrypted one counts.
      if (isSealed.get(name) && !sealed) continue
      isSealed.set(name, sealed)
      objects.set(name, { ...object, name })
    }
    if (prefix === undefined) this.#listed = isSealed
    yield* objects.values()
  }

  /** True for what is stored encrypted, by the last list. */
  isSealed(name: string): boolean {
    return this.#listed.get(name) ?? false
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    const sealed = mayBeSealed(name) && (await this.stored.stat(sealedName(name), signal))
    return sealed ? { ...sealed, name } : await this.stored.stat(name, signal)
  }

  /** @throws SnapError `E_KEY` for what is encrypted for somebody else, `E_INTEGRITY` for what is damaged */
  async *read(name: string, range?: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    if (!(await this.#findSealed(name, signal))) {
      yield* this.stored.read(name, range, signal)
      return
    }
    const sealed = sealedName(name)
    try {
      if (range === undefined) {
        const file = this.stored.read(sealed, undefined, signal)
        yield* readFile(this.#identities, file, this.#whatOf(sealed))
      } else {
        const file = await this.#openFile(sealed, signal)
        const read = (part: ByteRange) => this.stored.read(sealed, part, signal)
        yield* readFileRange({ ...file, read }, range)
      }
    } catch (error) {
      throw await this.#explained(error, sealed, signal)
    }
  }

  /** Only of what is known to be stored as it is read. */
  pathOf(name: string): string | undefined {
    return this.#listed.get(name) === false ? this.stored.pathOf?.(name) : undefined
  }

  stage(name: string, body: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Staged> {
    return this.stored.stage(name, body, signal)
  }

  reserve(name: string, text: string, signal?: AbortSignal): Promise<boolean> {
    return this.stored.reserve(name, text, signal)
  }

  createsOnce(signal?: AbortSignal): Promise<boolean> {
    return this.stored.createsOnce(signal)
  }

  create(name: string, text: string, signal?: AbortSignal): Promise<boolean> {
    return this.stored.create(name, text, signal)
  }

  write(name: string, text: string, signal?: AbortSignal): Promise<StoredObject> {
    return this.stored.write(name, text, signal)
  }

  delete(name: string, signal?: AbortSignal): Promise<void> {
    return this.stored.delete(name, signal)
  }

  get undeleted(): number {
    return this.stored.undeleted
  }

  abandon(): Promise<void> {
    return this.stored.abandon()
  }

  async #findSealed(name: string, signal: AbortSignal | undefined): Promise<boolean> {
    if (!mayBeSealed(name)) return false
    const known = this.#listed.get(name)
    if (known !== undefined) return known
    return (await this.stored.stat(sealedName(name), signal)) !== undefined
  }

  #whatOf(sealed: string): string {
    return `${this.url}: ${sealed}`
  }

  #openFile(sealed: string, signal: AbortSignal | undefined): Promise<SealedFile> {
    const file = this.#files.get(sealed) ?? this.#readHead(sealed, signal)
    // Deleted and set again, so that the one used last stands last.
    this.#files.delete(sealed)
    this.#files.set(sealed, file)
    file.catch(() => this.#files.delete(sealed))
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= KEPT_FILES) break
      this.#files.delete(oldest)
    }
    return file
  }

  async #readHead(sealed: string, signal: AbortSignal | undefined): Promise<SealedFile> {
    const what = this.#whatOf(sealed)
    const { size } = (await this.stored.stat(sealed, signal)) ?? { size: 0 }
    const read = (range: ByteRange) => this.stored.read(sealed, range, signal)
    for (const length of [USUAL_HEAD_SIZE, MAX_HEAD_SIZE]) {
      const start = await together(read({ start: 0, end: Math.min(length, size) }))
      const head = await openHead(this.#identities, start, what)
      if (head === undefined) continue
      const file = { what, head, size, read }
      await checkEnd(file)
      return file
    }
    throw cutHeader(what, size)
  }

  /** A header that is damaged may look as if it were for somebody else: the hash in the clear catalog tells. */
  async #explained(error: unknown, sealed: string, signal?: AbortSignal): Promise<unknown> {
    const set = parseFileName(sealed)?.set
    if (!(error instanceof SnapError) || error.code !== 'E_KEY' || set === undefined) return error
    const listed = await readClearCatalog({ source: this.stored }, { name: set }, signal)
      .then(({ files }) => files.find(({ name }) => name === sealed))
      .catch(() => undefined)
    if (listed === undefined) return error
    const hash = createHash('sha256')
    for await (const chunk of this.stored.read(sealed, undefined, signal)) hash.update(chunk)
    if (hash.digest('hex') === listed.sha256) return error
    return new SnapError(
      'E_INTEGRITY',
      `${this.#whatOf(sealed)}: damaged: it is not what the catalog of set ${set} lists, and no key opens it`,
      { cause: error },
    )
  }
}

/** True for the name of an encrypted file of a set. */
function isSealedFile(name: string): boolean {
  return isSealedName(name) && parseFileName(name) !== undefined
}

/** True for the name that a file of a set has without encryption. */
function mayBeSealed(name: string): boolean {
  return !isSealedName(name) && parseFileName(name) !== undefined
}

async function together(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}
