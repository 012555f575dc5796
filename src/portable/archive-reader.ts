import { createGunzip, type Gunzip } from 'node:zlib'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { freeMemory } from '../io/free-memory.ts'
import { StoredBlocks, startOfStored } from './stored-blocks.ts'

const INFLATED_CHUNK_SIZE = 2 ** 20
const MAGIC = [0x1f, 0x8b]

/** What is known of an archive before it is read. */
export interface ReadArchiveOptions {
  /** True if {@link ArchiveWriter} wrote it and its size does not say that it was compressed. Default false. */
  readonly mayBeStored?: boolean | undefined
}

/**
 * Inflates a whole archive, of one gzip member or many, and checks CRC and size of each. It ends only after the
 * archive has: a tar reader that stops at the trailer would leave the CRC unread, as influxd does. Nothing is
 * read ahead; the archive is closed when the consumer stops early. Errors of `archive` pass unchanged. What it gives may change
 * when the next is asked for; a chunk of `archive` is not looked at any more when its next one is.
 * @param name what is read, for messages
 * @throws SnapError `E_CUT` if it ends inside a member or is empty, `E_FORMAT` if it is not gzip, `E_INTEGRITY` if the data
 * is damaged or something follows the last member
 */
export async function* readArchive(
  archive: AsyncIterable<Uint8Array>,
  name: string,
  { mayBeStored = false }: ReadArchiveOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let inflater: Inflater | StoredBlocks | undefined
  try {
    for await (const chunk of archive) {
      const start = inflater === undefined && mayBeStored ? startOfStored(chunk) : undefined
      inflater ??= start === undefined ? new Inflater(name) : new StoredBlocks(name, start)
      yield* inflater.inflate(chunk)
    }
    inflater ??= new Inflater(name)
    yield* inflater.finish()
  } finally {
    inflater?.close()
  }
}

class Inflater {
  readonly #name: string
  readonly #gunzip: Gunzip
  readonly #start: number[] = []
  #size = 0
  #error: Error | undefined
  #wake: () => void = () => {}

  constructor(name: string) {
    this.#name = name
    this.#gunzip = createGunzip({ chunkSize: INFLATED_CHUNK_SIZE })
    this.#gunzip.on('readable', () => this.#wake())
    this.#gunzip.on('end', () => this.#wake())
    this.#gunzip.on('error', (error) => {
      this.#error = error
      this.#wake()
    })
  }

  /** Gives all that comes of `chunk`. */
  async *inflate(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    if (chunk.length === 0) return
    this.#checkStart(chunk)
    this.#size += chunk.length
    let taken = false
    // The callback has an error a little before the event does.
    this.#gunzip.write(chunk, (error) => {
      this.#error ??= error ?? undefined
      taken = true
      this.#wake()
    })
    yield* this.#outputUntil(() => taken)
    // zlib.Gunzip passes over zeros after a member; whatever it did not take is none of ours.
    if (this.#gunzip.bytesWritten < this.#size) throw this.#trailing()
  }

  /** Gives what is left, and checks that the last member was whole. */
  async *finish(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#size === 0) throw new SnapError('E_CUT', `${this.#name}: empty, expected an archive`)
    this.#gunzip.end()
    yield* this.#outputUntil(() => false)
  }

  close(): void {
    this.#gunzip.destroy()
  }

  /** Gives what is inflated until zlib has ended or `isDone`. */
  async *#outputUntil(isDone: () => boolean): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.#error !== undefined) throw this.#failure(this.#error)
      const bytes: unknown = this.#gunzip.read()
      if (bytes instanceof Uint8Array) {
        yield bytes
        // Once zlib has filled what it writes into, it takes another one.
        const isFilled = bytes.byteOffset + bytes.length === INFLATED_CHUNK_SIZE
        if (isFilled && bytes.buffer.byteLength === INFLATED_CHUNK_SIZE) freeMemory(bytes)
      } else if (isDone() || this.#gunzip.readableEnded) {
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  #checkStart(chunk: Uint8Array): void {
    for (const byte of chunk.subarray(0, MAGIC.length - this.#start.length)) this.#start.push(byte)
    if (this.#start.every((byte, i) => byte === MAGIC[i])) return
    throw new SnapError('E_FORMAT', `${this.#name}: not a gzip archive`)
  }

  #failure(error: Error): SnapError {
    const at = `after ${this.#gunzip.bytesWritten} of its bytes`
    if (errnoOf(error) === 'Z_BUF_ERROR') {
      return new SnapError('E_CUT', `${this.#name}: archive cut at ${this.#size} bytes`)
    }
    const message = `${this.#name}: archive damaged ${at}: ${messageOf(error)}`
    return new SnapError('E_INTEGRITY', message, { cause: error })
  }

  #trailing(): SnapError {
    const end = this.#gunzip.bytesWritten
    return new SnapError('E_INTEGRITY', `${this.#name}: data after the archive's end at ${end}`)
  }
}
