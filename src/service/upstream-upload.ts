import { SnapError } from '../errors.ts'
import { readAll, spool } from '../io/spool.ts'
import { parseShardPath, type ShardPath } from '../protocol/index.ts'
import { packShardTar, parseEntryName, readShardTar, type TarEntry } from '../tar/index.ts'
import type { Conversation } from './context.ts'
import { checkUpload } from './upload-check.ts'
import type { UpstreamOptions } from './upstream-client.ts'

/**
 * Takes an upload whole, then sends it on at full speed: influxd takes the shard out of use from the first byte to the
 * last. What is sent is written anew, so that no name can mean one thing here and another there.
 * @throws SnapError `E_FORMAT` if it holds what does not belong into the shard, `E_DESTINATION` if the server has no such
 * shard or refuses or there is no room for it, `E_TIMEOUT`, and what {@link checkUpload} throws
 */
export async function relayUpload(
  shardId: bigint,
  { connection, reader, limits, budgets }: Conversation,
  { client, tempDir }: UpstreamOptions,
): Promise<void> {
  const { signal } = connection
  const name = `upload to shard ${shardId}`
  const place = await findShard(shardId, (await client.databaseInfo('', signal)).Paths)
  const entries = readShardTar(reader.rest(), { name, trailer: 'padded', signal })
  await budgets.spooled.spend(async (take) => {
    const tar = withinSpace(packShardTar(onlyOf(place, entries)), take, limits.spooled)
    const taking = spool(tar, { name, tempDir, memoryLimit: MEMORY })
    const taken = await connection.within(limits.upload, 'end of the upload', taking)
    try {
      await checkUpload({ shardId, tar: taken, client, signal })
      await client.uploadShard(shardId, shardId, '', '', readAll(taken), signal)
    } finally {
      await taken.close()
    }
  })
}

/** Bytes of an upload that are kept out of the temporary directory. */
const MEMORY = 1024 * 1024

async function* withinSpace(
  tar: AsyncIterable<Uint8Array>,
  take: (amount: number) => boolean,
  limit: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of tar) {
    if (!take(chunk.length)) {
      const text = `with the other uploads it is more than ${limit} bytes`
      throw new SnapError('E_DESTINATION', text)
    }
    yield chunk
  }
}

function findShard(shardId: bigint, paths: readonly string[]): ShardPath {
  const place = paths.map(parseShardPath).find((path) => path.shardId === shardId)
  if (place !== undefined) return place
  throw new SnapError('E_DESTINATION', `the server behind has no shard ${shardId}`)
}

/** What a shard's directory holds and influxd knows in an upload; it has no directories in it. */
const FILE = /^[^/]+\.(?:tsm|tombstone)$/

/** influxd passes over some names that do not belong, and writes files of others outside of the shard. */
async function* onlyOf(
  place: ShardPath,
  entries: AsyncIterable<TarEntry>,
): AsyncGenerator<TarEntry, void, undefined> {
  const expected = `${place.database}/${place.retentionPolicy}/${place.shardId}`
  for await (const entry of entries) {
    const { database, retentionPolicy, shardId, file } = parseEntryName(entry.name)
    const got = `${database}/${retentionPolicy}/${shardId}`
    if (got !== expected || !FILE.test(file)) {
      const text = `entry ${JSON.stringify(entry.name)}: expected a TSM file of ${expected}`
      throw new SnapError('E_FORMAT', text)
    }
    yield entry
  }
}
