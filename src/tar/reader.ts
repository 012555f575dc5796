import { SnapError } from '../errors.ts'
import { ByteSource } from './byte-source.ts'
import {
  BLOCK_SIZE,
  decodeHeader,
  type EntryHeader,
  isZero,
  paddingOf,
  TRAILER_SIZE,
} from './header.ts'
import { parseEntryName } from './names.ts'

/** A file in a shard tar. */
export interface TarEntry {
  /** `database/retentionPolicy/shardId/file`, already accepted by {@link parseEntryName}. */
  readonly name: string
  /** Bytes of the body. */
  readonly size: number
  /** Bytes of the tar before the body. */
  readonly offset: number
  readonly mtime: Date
  /** Permission bits. */
  readonly mode: number
  /**
   * The bytes, views over the chunks of the stream, and with them right until the next is asked for. Read once and before the next entry is asked for; what is not
   * read is skipped.
   */
  readonly body: AsyncIterable<Uint8Array>
}

/** How {@link readShardTar} reads. */
export interface ReadTarOptions {
  /** What is read, for messages. Default `shard tar`. */
  readonly name?: string | undefined
  /**
   * `exact` (default): the stream ends after 1,024 zero bytes, as influxd sends it. `padded`: more zero bytes may
   * follow, as in a tar made by GNU tar.
   */
  readonly trailer?: 'exact' | 'padded' | undefined
  readonly signal?: AbortSignal | undefined
}

/** More entries than any shard has files; it bounds the names kept to find a repeated one. */
const MAX_ENTRIES = 100_000

/**
 * Reads the files of a shard tar one by one; nothing is read ahead of what the consumer asks for. Directories are
 * passed over. The stream is closed when the consumer stops early or anything fails.
 * @throws SnapError `E_CUT` if the stream ends before the trailer does, `E_FORMAT` if it is not a tar, holds anything
 * but files and directories, a name that is not a shard's or comes twice, or goes on after the trailer
 */
export async function* readShardTar(
  body: AsyncIterable<Uint8Array>,
  options: ReadTarOptions = {},
): AsyncGenerator<TarEntry, void, undefined> {
  const what = options.name ?? 'shard tar'
  const source = new ByteSource(body, options.signal)
  try {
    const names = new Set<string>()
    for (;;) {
      const header = await readHeader(source, what)
      if (header === undefined) break
      if (header.type === 'directory') continue
      checkName(header.name, names, what)
      const entryBody = new EntryBody(source, header, what)
      const { name, size, mtime, mode } = header
      yield { name, size, offset: source.offset, mtime, mode, body: entryBody }
      await entryBody.finish()
    }
    await readTrailerRest(source, what, options.trailer ?? 'exact')
  } finally {
    await source.close()
  }
}

/** Returns the next header, or undefined when the first block of the trailer stands in its place. */
async function readHeader(source: ByteSource, what: string): Promise<EntryHeader | undefined> {
  const start = source.offset
  const first = await source.takeAll(BLOCK_SIZE)
  if (first.length === 0) {
    throw cut(what, `ended after ${start} bytes, expected an entry or ${TRAILER_SIZE} zero bytes`)
  }
  if (first.length < BLOCK_SIZE) {
    throw cut(what, `cut in the header at offset ${start}: ${first.length} of ${BLOCK_SIZE} bytes`)
  }
  if (isZero(first)) return undefined
  const where = `${what}: header at offset ${start}`
  // Further blocks may come in the memory that it is in.
  return await decodeHeader(Uint8Array.from(first), where, async () => {
    const block = await source.takeAll(BLOCK_SIZE)
    if (block.length === BLOCK_SIZE) return block
    throw cut(where, `cut: ${block.length} of ${BLOCK_SIZE} bytes of a further block`)
  })
}

function checkName(name: string, names: Set<string>, what: string): void {
  parseEntryName(name)
  // A server that sends a file twice (influxd does in some exports) makes influxd fail at restore.
  if (names.has(name)) throw new SnapError('E_FORMAT', `${what}: entry ${name} comes twice`)
  if (names.size === MAX_ENTRIES) {
    throw new SnapError('E_FORMAT', `${what}: more than ${MAX_ENTRIES} entries`)
  }
  names.add(name)
}

class EntryBody implements AsyncIterable<Uint8Array> {
  readonly #source: ByteSource
  readonly #header: EntryHeader
  readonly #what: string
  #remaining: number
  #skipped = false

  constructor(source: ByteSource, header: EntryHeader, what: string) {
    this.#source = source
    this.#header = header
    this.#what = what
    this.#remaining = header.size
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#remaining > 0) yield await this.#take()
    if (!this.#skipped) return
    throw new SnapError('E_FAILED', `${this.#what}: entry ${this.#header.name} is read too late`)
  }

  /** Skips what was not read, and the padding. */
  async finish(): Promise<void> {
    this.#skipped = this.#remaining > 0
    while (this.#remaining > 0) await this.#take()
    const { name, size } = this.#header
    const expected = paddingOf(size)
    const padding = await this.#source.takeAll(expected)
    if (padding.length < expected) {
      throw cut(
        this.#what,
        `cut after entry ${name}: ${padding.length} of ${expected} padding bytes`,
      )
    }
    if (!isZero(padding)) {
      throw new SnapError('E_FORMAT', `${this.#what}: entry ${name}: padding is not zero`)
    }
  }

  async #take(): Promise<Uint8Array> {
    const chunk = await this.#source.take(this.#remaining)
    if (chunk === undefined) {
      const { name, size } = this.#header
      throw cut(this.#what, `cut in entry ${name}: ${size - this.#remaining} of ${size} bytes`)
    }
    this.#remaining -= chunk.length
    return chunk
  }
}

async function readTrailerRest(
  source: ByteSource,
  what: string,
  trailer: 'exact' | 'padded',
): Promise<void> {
  const second = await source.takeAll(BLOCK_SIZE)
  if (!isZero(second)) {
    throw new SnapError('E_FORMAT', `${what}: offset ${source.offset}: one zero block, then data`)
  }
  if (second.length < BLOCK_SIZE) {
    throw cut(
      what,
      `cut in the trailer: ${BLOCK_SIZE + second.length} of ${TRAILER_SIZE} zero bytes`,
    )
  }
  const end = source.offset
  for (;;) {
    const more = await source.take(Number.MAX_SAFE_INTEGER)
    if (more === undefined) return
    if (trailer === 'padded' && isZero(more)) continue
    throw new SnapError('E_FORMAT', `${what}: data after the trailer that ends at offset ${end}`)
  }
}

function cut(what: string, how: string): SnapError {
  return new SnapError('E_CUT', `${what}: ${how}`)
}
