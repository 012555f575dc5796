import { crc32 } from 'node:zlib'
import type { Client } from '../client/index.ts'
import { packShardTar, readShardTar, type TarEntry, tapShardTar } from '../tar/index.ts'
import { parseEntryName } from '../tar/names.ts'
import { asDamage } from './check-archive.ts'
import type { RestorableShard } from './restorable.ts'
import { rewriteEntries } from './rewrite-entries.ts'
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
  readonly tempDir: string
  readonly throttle: Throttle
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal: AbortSignal
}

/**
 * Streams a stored shard to the server: tombstones are applied to the files they belong to, names made those of the
 * target. Returns the files as they were sent.
 * @throws SnapError `E_INTEGRITY` if the archive turns out damaged on the way, and what the client throws
 */
export async function uploadShard(
  shard: RestorableShard,
  target: UploadTarget,
  options: UploadOptions,
): Promise<readonly SentFile[]> {
  const { client, tempDir, throttle, onBytes, signal } = options
  const entries = rewriteEntries(entriesOf(shard, signal), { tempDir })
  const sent: SentFile[] = []
  let bytes = 0
  const tar = tapShardTar(packShardTar(entries), async (entry) => {
    const file = await describeEntry(entry, (length) => {
      bytes += length
      onBytes?.(bytes)
    })
    sent.push(file)
  })
  const { newShardId, database, retentionPolicy } = target
  const body = throttle(tar, signal)
  await client.uploadShard(shard.shardId, newShardId, database, retentionPolicy, body, signal)
  return sent
}

/** Reads the files of a shard, of files with one name in several parts the newest. */
export async function* entriesOf(
  shard: RestorableShard,
  signal?: AbortSignal,
): AsyncGenerator<TarEntry> {
  const seen = new Set<string>()
  for (const part of shard.parts) {
    try {
      for await (const entry of readShardTar(part.open(signal), { name: part.name, signal })) {
        if (seen.has(entry.name)) continue
        seen.add(entry.name)
        yield entry
      }
    } catch (error) {
      throw asDamage(error, shard, part.name)
    }
  }
}

/** Reads an entry to its end and returns its name, size and CRC. */
export async function describeEntry(
  { name, body }: TarEntry,
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
