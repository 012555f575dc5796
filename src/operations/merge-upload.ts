import { SnapError } from '../errors.ts'
import { readAll, Spool } from '../io/spool.ts'
import { formatEntryName, type TarEntryInput } from '../tar/index.ts'
import { formatTsmFileName } from '../tsm/file-name.ts'
import { TsmSetWriter } from '../tsm/set-writer.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { highestGeneration, nextGeneration } from './merge-generation.ts'
import type { KeyBlock } from './merge-target.ts'
import type { Progress } from './progress.ts'
import { withRetries } from './retry.ts'
import type { OpenServer } from './server.ts'
import type { Throttle } from './throttle.ts'
import { reopenShard, uploadShard } from './upload-shard.ts'

/** How points are uploaded into a live shard. */
export interface MergeUploadOptions {
  readonly server: Pick<OpenServer, 'client'>
  readonly shard: ShardName
  /** The names of the files that the shard has. */
  readonly fileNames: Iterable<string>
  /** Bytes after which a file is sent and the next begun: a shard takes no writes while one arrives. */
  readonly fileSize?: number | undefined
  readonly tempDir: string
  /** Times a file is sent in all. */
  readonly attempts: number
  readonly throttle: Throttle
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly progress: Progress
  readonly signal: AbortSignal
}

const FILE_SIZE = 64 * 1024 * 1024

/**
 * Puts points into a live shard as further TSM files. They are staged, then sent at full speed one file after the other, each
 * in a generation of its own that no file has had. A file whose upload broke off is sent again in another one, after the
 * server was made to clear what is left of it. Returns the bytes that were sent.
 * @throws SnapError `E_DESTINATION`
 */
export async function uploadPoints(
  points: AsyncIterable<KeyBlock>,
  options: MergeUploadOptions,
): Promise<number> {
  const { tempDir, fileSize = FILE_SIZE } = options
  const sender = new FileSender(options)
  let file = new StagedFile(tempDir)
  try {
    for await (const { key, block } of points) {
      await file.writer.writeValues(key, block)
      if (file.spool.size < fileSize) continue
      await sender.send(file)
      await file.spool.close()
      file = new StagedFile(tempDir)
    }
    await sender.send(file)
    return sender.bytes
  } finally {
    await file.spool.close()
  }
}

/** A TSM file that is written; its name does not matter before it is sent. */
class StagedFile {
  readonly spool: Spool
  readonly writer: TsmSetWriter

  constructor(tempDir: string) {
    const spool = new Spool({ name: 'points to be merged', tempDir })
    this.spool = spool
    this.writer = new TsmSetWriter({
      generation: 1,
      sequence: 1,
      open: async () => ({ write: (chunk) => spool.write(chunk), close: async () => {} }),
    })
  }
}

class FileSender {
  bytes = 0
  #generation: number
  readonly #options: MergeUploadOptions

  constructor(options: MergeUploadOptions) {
    this.#options = options
    this.#generation = highestGeneration(options.fileNames)
  }

  async send({ writer, spool }: StagedFile): Promise<void> {
    if ((await writer.finish()).length === 0) return
    const { attempts, signal, shard, progress } = this.#options
    const before = this.bytes
    const onRetry = (error: SnapError, attempt: number, waitMs: number) => {
      const what = `shard ${describeShard(shard)}: try ${attempt} failed, next in ${waitMs} ms`
      progress({ type: 'note', level: 'warning', message: `${what}: ${error.message}` })
    }
    const upload = async (attempt: number) => {
      this.bytes = before
      if (attempt > 1) await this.#reopen()
      await this.#upload(spool)
    }
    await withRetries(upload, { attempts, signal, onRetry })
  }

  async #upload(spool: Spool): Promise<void> {
    const { server, shard, throttle, onBytes, signal } = this.#options
    const { database, retentionPolicy, shardId } = shard
    const file = this.#nextName()
    const source = spool.access()
    const entry = (): TarEntryInput => ({
      name: formatEntryName({ database, retentionPolicy, shardId, file }),
      size: source.size,
      mtime: new Date(),
      body: readAll(source),
    })
    const before = this.bytes
    const content = {
      ...shard,
      async *entries() {
        yield entry()
      },
    }
    const target = { newShardId: shardId, database, retentionPolicy }
    try {
      await uploadShard(content, target, {
        ...{ server, throttle, signal },
        onBytes: (bytes) => onBytes?.(before + bytes),
      })
    } catch (error) {
      signal.throwIfAborted()
      throw again(error)
    }
    this.bytes = before + source.size
  }

  async #reopen(): Promise<void> {
    const { server, shard, signal } = this.#options
    await reopenShard({ newShardId: shard.shardId }, { client: server.client, signal })
  }

  #nextName(): string {
    this.#generation = nextGeneration(this.#generation, this.#options.shard)
    return formatTsmFileName({ generation: this.#generation, sequence: 1 })
  }
}

/** A new generation makes it safe to send a file a second time: equal points of two files are one. */
function again(error: unknown): unknown {
  if (!(error instanceof SnapError) || error.exitCode === 13) return error
  const { message, hint } = error
  return new SnapError('E_DESTINATION', message, { cause: error, hint, retryable: true })
}
