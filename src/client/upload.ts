import { asSnapError, SnapError } from '../errors.ts'
import type { Connection } from '../io/connection.ts'
import { takeBuffer } from '../io/recycled.ts'
import { formatEntryName, parseEntryName, type TarEntry, type TarEntryInput } from '../tar/index.ts'

/** Which shard a tar is of, and which it shall be for. Empty names stay as they are in the tar. */
export interface UploadTarget {
  readonly shardId: bigint
  readonly newShardId: bigint
  readonly destinationDatabase: string
  readonly restoreRetention: string
}

/**
 * Gives the entries of a shard's tar under the names they have in the target.
 * @throws SnapError `E_FORMAT` if an entry is of another shard
 */
export async function* renameEntries(
  entries: AsyncIterable<TarEntry>,
  target: UploadTarget,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const { shardId, newShardId, destinationDatabase, restoreRetention } = target
  for await (const entry of entries) {
    const path = parseEntryName(entry.name)
    if (path.shardId !== shardId) {
      throw new SnapError('E_FORMAT', `entry ${entry.name}: expected one of shard ${shardId}`)
    }
    const name = formatEntryName({
      database: destinationDatabase === '' ? path.database : destinationDatabase,
      retentionPolicy: restoreRetention === '' ? path.retentionPolicy : restoreRetention,
      shardId: newShardId,
      file: path.file,
    })
    yield { ...entry, name }
  }
}

/** How an upload is sent. */
export interface UploadOptions {
  readonly open: () => Promise<Connection>
  /** What goes before the tar. */
  readonly opening: Uint8Array
  /** Longest wait in ms for the server's end. */
  readonly uploadEnd: number
}

/**
 * Sends a tar, ends our side and waits for the server to end its own, which says that it has finished. The server is
 * connected to when there is something to send. If the tar fails, the connection is reset: the server must not take
 * what it has for whole.
 * @throws SnapError what `tar` throws; `E_DESTINATION` if the server stopped early; never retryable once connected
 */
export async function sendTar(
  tar: AsyncIterable<Uint8Array>,
  { open, opening, uploadEnd }: UploadOptions,
): Promise<void> {
  let upload: Upload | undefined
  try {
    let held: Uint8Array | undefined
    for await (const piece of inPieces(opening, tar)) {
      upload ??= new Upload(await open())
      if (held !== undefined) await upload.send(held)
      held = piece
    }
    await upload?.finish(held, uploadEnd)
  } catch (error) {
    upload?.connection.fail(asSnapError(error, 'E_FAILED', 'upload'))
    throw error
  } finally {
    upload?.connection.close()
  }
}

const PIECE = 64 * 1024

/**
 * Gives all bytes in larger pieces, the first one with the opening. A server that refuses has read no more than that: it
 * then closes with bytes unread, which we see as a reset; had it read all, its end would look like success. The pieces are
 * in memory that may be recycled once they have left; chunks of `tar` may change when the next is asked for.
 */
async function* inPieces(
  opening: Uint8Array,
  tar: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let piece = takeBuffer()
  piece.set(opening)
  let filled = opening.length
  for await (const chunk of tar) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + piece.length - filled)
      piece.set(part, filled)
      at += part.length
      filled += part.length
      if (filled < PIECE) continue
      yield piece.subarray(0, filled)
      piece = takeBuffer()
      filled = 0
    }
  }
  if (filled > 0) yield piece.subarray(0, filled)
}

/** The sending half of an upload, and an eye on the server's half. */
class Upload {
  readonly connection: Connection
  /** Settled when the server ends or breaks the connection. */
  readonly #serverEnd: Promise<void>
  #ended = false

  constructor(connection: Connection) {
    this.connection = connection
    this.#serverEnd = expectNothing(connection).finally(() => {
      this.#ended = true
    })
    this.#serverEnd.catch(() => {})
  }

  async send(chunk: Uint8Array): Promise<void> {
    await this.#checked(async () => {
      if (this.#ended) await this.#endedEarly()
      await this.connection.writeRecycled(chunk)
    })
  }

  /** The server cannot have the whole trailer before the last bytes are sent: an end of its seen before is an early one. */
  async finish(last: Uint8Array | undefined, uploadEnd: number): Promise<void> {
    await this.#checked(async () => {
      if (this.#ended) await this.#endedEarly()
      await this.connection.end(last)
      await this.connection.within(uploadEnd, 'end of the upload', this.#serverEnd)
    })
  }

  async #endedEarly(): Promise<never> {
    await this.#serverEnd
    throw this.#stoppedEarly(undefined)
  }

  async #checked(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      throw this.#toFailure(asSnapError(error, 'E_DESTINATION', this.connection.name))
    }
  }

  /** An upload that went wrong half way is not to be sent again unseen; see "uploads" in docs/protocol.md. */
  #toFailure(error: SnapError): SnapError {
    if (!error.retryable) return error
    if (error.code === 'E_CUT') return this.#stoppedEarly(error)
    return new SnapError(error.code, error.message, { cause: error, hint: error.hint })
  }

  #stoppedEarly(cause: SnapError | undefined): SnapError {
    const { name } = this.connection
    return new SnapError('E_DESTINATION', `${name}: the server stopped the upload early`, {
      cause,
      hint:
        'the server has no such shard, another upload to it runs, or it refused the data: look at its log, ' +
        'and at what the shard holds now, before trying again',
    })
  }
}

/** Waits for the end of a server that has nothing to say. */
async function expectNothing(connection: Connection): Promise<void> {
  for await (const chunk of connection.chunks(Number.POSITIVE_INFINITY)) {
    const start = JSON.stringify(Buffer.from(chunk.subarray(0, 100)).toString('latin1'))
    throw new SnapError(
      'E_PROTOCOL',
      `${connection.name}: expected the end of the upload, got ${start}`,
    )
  }
}
