import { createHash } from 'node:crypto'
import { recode, SnapError } from '../errors.ts'
import { freeRecycled, recycle } from '../io/recycled.ts'
import { MAX_JSON_SIZE } from './json.ts'

/** A file in the place where sets live. */
export interface StoredFile {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly modified: Date
}

/** What reading sets needs of the place where they live; every store has it. */
export interface SetSource {
  /** Where it is, for people. */
  readonly url: string
  list(signal?: AbortSignal): AsyncIterable<StoredFile>
  read(name: string, range?: undefined, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** A file of a listing, of which there may be 100,000: a `Date` would take as much memory as all the rest. */
export interface ListedFile extends Pick<StoredFile, 'name' | 'size'> {
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number
}

/** The files of a place by name, as they were when it was listed. */
export type FileListing = ReadonlyMap<string, ListedFile>

/** Lists all files of `source`. */
export async function listFiles(source: SetSource, signal?: AbortSignal): Promise<FileListing> {
  const files = new Map<string, ListedFile>()
  for await (const { name, size, modified } of source.list(signal)) {
    files.set(name, { name, size, modifiedAt: modified.getTime() })
  }
  return files
}

/** One small file of a set. */
export interface SmallFile {
  readonly bytes: Uint8Array
  /** Lower-case hex. */
  readonly sha256: string
}

/** The longest file that is read whole, a little more than a metastore. */
const MAX_SMALL_SIZE = MAX_JSON_SIZE + 1024 * 1024

/** Reads a manifest, metastore, catalog or sidecar whole. @throws SnapError `E_INTEGRITY` if it is absurdly long */
export async function readSmallFile(
  source: SetSource,
  name: string,
  signal?: AbortSignal,
): Promise<SmallFile> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source.read(name, undefined, signal)) {
    size += chunk.length
    if (size > MAX_SMALL_SIZE) {
      const message = `${source.url}: ${name}: more than ${MAX_SMALL_SIZE} bytes`
      throw new SnapError('E_INTEGRITY', message)
    }
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks, size)
  // There is a small file for each shard, and a large buffer would be collected for each. Those of a large file are not kept.
  const letGo = chunks.length === 1 ? recycle : freeRecycled
  for (const chunk of chunks) letGo(chunk)
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/**
 * Decodes what was stored: bytes that do not decode are an integrity failure here.
 * @throws SnapError `E_INTEGRITY` with the place in its message
 */
export function decodeStored<T>(source: SetSource, name: string, decode: (what: string) => T): T {
  const what = `${source.url}: ${name}`
  try {
    return decode(what)
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    throw recode(error, 'E_INTEGRITY', error.message.startsWith(what) ? '' : `${what}: `)
  }
}
