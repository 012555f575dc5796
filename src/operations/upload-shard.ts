import { crc32 } from 'node:zlib'
import { SnapError } from '../errors.ts'
import { packShardTar, type TarEntryInput, tapShardTar } from '../tar/index.ts'
import { parseEntryName } from '../tar/names.ts'
import type { SentFile, ShardContent } from './restore-content.ts'
import type { OpenServer } from './server.ts'
import type { Throttle } from './throttle.ts'

export type { SentFile } from './restore-content.ts'

/** Where a shard goes. */
export interface UploadTarget {
  readonly newShardId: bigint
  readonly database: string
  readonly retentionPolicy: string
}

/** How a shard is uploaded. */
export interface UploadOptions {
  readonly server: Pick<OpenServer, 'client' | 'directory'>
  readonly throttle: Throttle
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal: AbortSignal
}

/**
 * Streams a shard to the server, its names made those of the target; into a data directory without a tar. Returns the files as they
 * were sent.
 * @throws SnapError `E_INTEGRITY` if an archive turns out damaged on the way, and what the client or the directory throws
 */
export async function uploadShard(
  content: ShardContent,
  target: UploadTarget,
  options: UploadOptions,
): Promise<readonly SentFile[]> {
  const { server, throttle, onBytes, signal } = options
  const { newShardId, database, retentionPolicy } = target
  const place = { database, retentionPolicy, shardId: newShardId }
  if (server.directory !== undefined && content.staged !== undefined) {
    await server.directory.adoptFiles(place, content.staged)
    return content.staged.files
  }
  const sent: SentFile[] = []
  let bytes = 0
  const onLength = (length: number) => {
    bytes += length
    onBytes?.(bytes)
  }
  const entries = throttled(content.entries(signal), throttle, signal)
  if (server.directory !== undefined) {
    const files = describedFiles(entries, content, { sent, onLength })
    await server.directory.restoreFiles(place, files, signal)
    return sent
  }
  const body = tapShardTar(packShardTar(entries), async ({ name, body: file }) => {
    sent.push(await describeFile(parseEntryName(name).file, file, onLength))
  })
  await server.client.uploadShard(
    content.shardId,
    newShardId,
    database,
    retentionPolicy,
    body,
    signal,
  )
  return sent
}

/** Gives the entries of a shard as files of it, and notes each when it has passed. */
export async function* describedFiles(
  entries: AsyncIterable<TarEntryInput>,
  { shardId }: Pick<ShardContent, 'shardId'>,
  { sent, onLength }: { readonly sent: SentFile[]; readonly onLength?: OnLength },
): AsyncGenerator<TarEntryInput, void, undefined> {
  for await (const entry of entries) {
    const { shardId: found, file: name } = parseEntryName(entry.name)
    if (found !== shardId) {
      throw new SnapError('E_FORMAT', `entry ${entry.name}: expected one of shard ${shardId}`)
    }
    const tally = new Tally(onLength)
    yield { ...entry, name, body: tally.pass(entry.body) }
    sent.push(tally.describe(name))
  }
}

/** Limits the bodies, not the whole tar: bytes are then counted as they leave, and not a chunk before. */
async function* throttled(
  entries: AsyncIterable<TarEntryInput>,
  throttle: Throttle,
  signal: AbortSignal,
): AsyncGenerator<TarEntryInput, void, undefined> {
  for await (const entry of entries) yield { ...entry, body: throttle(each(entry.body), signal) }
}

async function* each<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items
}

/**
 * Uploads no files, after which a server has the shard open again: it clears what an upload that broke off has left, and
 * counts the generations of the shard's files anew.
 */
export async function reopenShard(
  { newShardId }: Pick<UploadTarget, 'newShardId'>,
  { client, signal }: Pick<OpenServer, 'client'> & Pick<UploadOptions, 'signal'>,
): Promise<void> {
  await client.uploadShard(newShardId, newShardId, '', '', packShardTar([]), signal)
}

/** Told how many further bytes have passed. */
type OnLength = (length: number) => void

/** Reads a file to its end and returns its size and CRC. */
export async function describeFile(
  name: string,
  body: TarEntryInput['body'],
  onLength?: OnLength,
): Promise<SentFile> {
  const tally = new Tally(onLength)
  for await (const _ of tally.pass(body));
  return tally.describe(name)
}

/** Size and CRC of the bytes of one file. */
class Tally {
  readonly #onLength: OnLength
  #size = 0
  #crc = 0

  constructor(onLength: OnLength = () => {}) {
    this.#onLength = onLength
  }

  async *pass(body: TarEntryInput['body']): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of body) {
      this.#crc = crc32(chunk, this.#crc)
      this.#size += chunk.length
      this.#onLength(chunk.length)
      yield chunk
    }
  }

  describe(name: string): SentFile {
    return { name, size: this.#size, crc: this.#crc }
  }
}
