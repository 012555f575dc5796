import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { Sha256 } from '../io/hash-worker.ts'
import { hashing } from '../io/hashing.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { thisProcess } from '../io/process-owner.ts'
import { ArchiveWriter } from '../portable/archive-writer.ts'
import type { Staged, Store } from '../storage/index.ts'
import { ExportRecord, removeExportLeftovers, removeReservation } from './export-record.ts'
import { schemeOf } from './open-store.ts'
import { publishAll } from './publish-all.ts'

/** Where points are written to. */
export type ExportPlace =
  | { readonly kind: 'stream'; readonly stream: Writable }
  | { readonly kind: 'file'; readonly store: Store; readonly name: string }
  | { readonly kind: 'directory'; readonly store: Store }

/** What an export may write into. */
export interface ExportPlaces {
  /** What `-` is. */
  readonly stream: Writable
  openStore(location: string): Promise<Store>
}

/**
 * Finds out what a TARGET is: `-` is the stream; a name that ends with a slash, a directory that is there, or a whole
 * bucket is a directory; everything else is a file.
 * @throws SnapError `E_TARGET_EXISTS` if it is there and no directory
 */
export async function locateExport(target: string, places: ExportPlaces): Promise<ExportPlace> {
  if (target === '-') return { kind: 'stream', stream: places.stream }
  const found = await look(target)
  if (target.endsWith('/') || found === 'directory') {
    return { kind: 'directory', store: await places.openStore(target) }
  }
  const store = await places.openStore(dirname(target))
  if (found === 'nothing') return { kind: 'file', store, name: basename(target) }
  // It may be of an export that was killed when only that was left to do.
  await removeExportLeftovers(store)
  throw new SnapError('E_TARGET_EXISTS', `${target} is there already`, {
    hint: 'remove it, or name another file',
  })
}

const WHOLE_BUCKET = /^[^/]*:\/\/[^/]*$/

/** Looks at what is there; in a bucket only when the names are taken. */
async function look(path: string): Promise<'directory' | 'other' | 'nothing'> {
  if (schemeOf(path) !== undefined) return WHOLE_BUCKET.test(path) ? 'directory' : 'nothing'
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'other'
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'nothing'
    throw asSnapError(error, 'E_DESTINATION', path)
  }
}

/** A file that was written, or what went into the stream. */
export interface WrittenExport {
  /** Empty for a stream. */
  readonly name: string
  /** Bytes as they are stored. */
  readonly size: number
}

/** Files of an export on their way: they get their names when all are whole. */
export class ExportTarget {
  readonly #place: ExportPlace
  readonly #gzip: boolean
  readonly #reserved: string[] = []
  #record: ExportRecord | undefined
  readonly #staged: { readonly staged: Staged; readonly sha256: string }[] = []

  constructor(place: ExportPlace, { gzip }: { readonly gzip: boolean }) {
    this.#place = place
    this.#gzip = gzip
  }

  /**
   * Takes the names of all files before the first is written. What an export that was killed has left there is removed.
   * @throws SnapError `E_TARGET_EXISTS` if one is there, `E_LOCKED` if another export writes it
   */
  async reserve(names: readonly string[]): Promise<void> {
    if (this.#place.kind === 'stream') return
    const { store } = this.#place
    await removeExportLeftovers(store)
    for (const name of names) {
      if (!(await reserve(store, name))) throw await taken(store, name)
      this.#reserved.push(name)
    }
    this.#record = await ExportRecord.create(store, names)
  }

  /** Writes one file, or into the stream; errors of `body` pass unchanged. */
  async write(
    name: string,
    body: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<WrittenExport> {
    const archive = this.#gzip ? new ArchiveWriter(body, { fileName: 'points' }) : undefined
    if (this.#place.kind === 'stream') {
      const kept = archive ? copies(archive) : body
      return { name: '', size: await writeInto(this.#place.stream, kept, signal) }
    }
    const hash = new Sha256()
    const bytes = archive ?? hashing(body, hash)
    const staged = await this.#place.store.stage(name, bytes, signal)
    const sha256 = archive?.summary.sha256 ?? (await hash.digest())
    this.#staged.push({ staged, sha256 })
    return { name, size: staged.size }
  }

  /** Gives the files that `isWanted` their names, all or none; the others are removed. */
  async publish(isWanted: (name: string) => boolean): Promise<void> {
    if (this.#place.kind === 'stream') return
    const { store } = this.#place
    const unwanted = this.#staged.filter(({ staged }) => !isWanted(staged.name))
    for (const { staged } of unwanted) await staged.discard()
    const wanted = this.#staged.filter(({ staged }) => isWanted(staged.name))
    const files = wanted.map(({ staged: { name, size }, sha256 }) => ({ name, size, sha256 }))
    await this.#record?.seal(files)
    await publishAll(
      store,
      wanted.map(({ staged }) => staged),
    )
    await this.#record?.remove()
  }

  /** Removes everything that was not published, and the directory if it was made for this. */
  async discard(): Promise<void> {
    if (this.#place.kind === 'stream') return
    const { store } = this.#place
    await Promise.allSettled(this.#staged.map(({ staged }) => staged.discard()))
    for (const name of this.#reserved) await store.delete(name + PENDING_SUFFIX)
    await this.#record?.remove()
    await store.abandon()
  }
}

/** Passes on bytes that may change as copies, for those who read ahead. */
async function* copies(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) yield Buffer.from(chunk)
}

/** Passes bytes on and shows them. */
async function* passing(
  bytes: AsyncIterable<Uint8Array>,
  show: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    show(chunk)
    yield chunk
  }
}

/** Writes into a stream that stays open, and returns how many bytes it was. */
async function writeInto(
  stream: Writable,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  let size = 0
  const measured = passing(bytes, (chunk) => {
    size += chunk.length
  })
  try {
    const source = Readable.from(measured, { objectMode: false })
    await pipeline(source, stream, { signal, end: false })
  } catch (error) {
    signal.throwIfAborted()
    throw asSnapError(error, 'E_DESTINATION', 'writing to the stream failed')
  }
  return size
}

async function reserve(store: Store, name: string): Promise<boolean> {
  const owner = JSON.stringify(thisProcess())
  if (await store.reserve(name, owner)) return true
  return (await removeReservation(store, name)) && (await store.reserve(name, owner))
}

async function taken(store: Store, name: string): Promise<SnapError> {
  if ((await store.stat(name)) !== undefined) {
    return new SnapError('E_TARGET_EXISTS', `${store.url}: ${name} is there already`, {
      hint: 'remove it, or export to another place',
    })
  }
  return new SnapError('E_LOCKED', `${store.url}: ${name}${PENDING_SUFFIX} is there`, {
    hint: 'another export is writing it; if none is, remove that file',
  })
}
