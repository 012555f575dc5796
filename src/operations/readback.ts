import type { Client } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { readShardTar, type TarEntryInput } from '../tar/index.ts'
import { digestShard, type ShardDigest } from './digest.ts'
import { describeShard, type ShardName } from './inspect.ts'
import type { RestorableShard } from './restorable.ts'
import { rewriteEntries } from './rewrite-entries.ts'
import { spoolShard } from './spool-shard.ts'
import { describeEntry, entriesOf, type SentFile } from './upload-shard.ts'

/** How a shard is read back. */
export interface ReadBackOptions {
  readonly client: Client
  readonly tempDir: string
  readonly signal: AbortSignal
}

/**
 * Reads a restored shard back from the server and compares it with what was sent: file by file, and where the server
 * has compacted them meanwhile, point by point.
 * @throws SnapError `E_DESTINATION` if the shard does not hold what was sent
 */
export async function readBack(
  shard: RestorableShard,
  restored: { readonly shard: ShardName; readonly sent: readonly SentFile[] },
  options: ReadBackOptions,
): Promise<void> {
  const { client, signal } = options
  const found = new Map<string, SentFile>()
  for await (const entry of readShardTar(client.shardBackup(restored.shard, signal), { signal })) {
    const file = await describeEntry(entry)
    found.set(file.name, file)
  }
  const isThere = ({ name, size, crc }: SentFile) =>
    found.get(name)?.size === size && found.get(name)?.crc === crc
  if (restored.sent.every(isThere) && found.size === restored.sent.length) return
  const stored = rewriteEntries(entriesOf(shard, signal), options)
  const expected = await digestOf(stored, options)
  const live = readShardTar(client.shardBackup(restored.shard, signal), { signal })
  const got = await digestOf(live, options)
  if (got.sha256 === expected.sha256) return
  throw new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(restored.shard)} does not hold what was sent: ${got.points} points, expected ${expected.points}`,
    { hint: "look at the server's log; the restored database is not to be trusted" },
  )
}

async function digestOf(
  entries: AsyncIterable<Pick<TarEntryInput, 'name' | 'body'>>,
  { tempDir }: ReadBackOptions,
): Promise<ShardDigest> {
  const { files, close } = await spoolShard(entries, tempDir)
  try {
    return await digestShard(files)
  } finally {
    await close()
  }
}
