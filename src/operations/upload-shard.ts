import { crc32 } from 'node:zlib'
import type { Client } from '../client/index.ts'
import { packShardTar, type TarEntry, type TarEntryInput, tapShardTar } from '../tar/index.ts'
import { parseEntryName } from '../tar/names.ts'
import type { ShardContent } from './restore-content.ts'
import type { Throttle } from './throttle.ts'

/** A file as it was sent, or as it is read back. */
export interface SentFile {
  /** Name inside the shard's directory. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly crc: number
}

/** Where a shard goes. */
export interface UploadTarget {
  readonly newShardId: bigint
  readonly database: string
  readonly retentionPolicy: string
}

/** How a shard is uploaded. */
export interface UploadOptions {
  readonly client: Client
  readonly throttle: Throttle
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal: AbortSignal
}

/**
 * Streams a shard to the server, its names made those of the target. Returns the files as they were sent.
 * @throws SnapError `E_INTEGRITY` if an archive turns out damaged on the way, and what the client throws
 */
export async function uploadShard(
  content: ShardContent,
  target: UploadTarget,
  options: UploadOptions,
): Promise<readonly SentFile[]> {
  const { client, throttle, onBytes, signal } = options
  const sent: SentFile[] = []
  let bytes = 0
  const entries = throttled(content.entries(signal), throttle, signal)
  const body = tapShardTar(packShardTar(entries), async (entry) => {
    const file = await describeEntry(entry, (length) => {
      bytes += length
      onBytes?.(bytes)
    })
    sent.push(file)
  })
  const { newShardId, database, retentionPolicy } = target
  await client.uploadShard(content.shardId, newShardId, database, retentionPolicy, body, signal)
  return sent
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
  { client, signal }: Pick<UploadOptions, 'client' | 'signal'>,
): Promise<void> {
  await client.uploadShard(newShardId, newShardId, '', '', packShardTar([]), signal)
}

/** Reads an entry to its end and returns its name, size and CRC. */
export async function describeEntry(
  {
    name,
    body,
  }: Pick<TarEntry, 'name'> & { readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array> },
  onLength: (length: number) => void = () => {},
): Promise<SentFile> {
  let crc = 0
  let size = 0
  for await (const chunk of body) {
    crc = crc32(chunk, crc)
    size += chunk.length
    onLength(chunk.length)
  }
  return { name: parseEntryName(name).file, size, crc }
}
