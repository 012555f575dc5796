import { asSnapError, messageOf, SnapError } from '../errors.ts'
import type { Imported } from '../meta/index.ts'
import { decodeData, importData, listShards, withoutDatabases } from '../meta/index.ts'
import { encodeShardIds, type ReceivedRequest } from '../protocol/index.ts'
import type { Answer, Context } from './context.ts'
import { withPayload } from './payload.ts'

/** Imports databases of an uploaded metastore, makes their shards and answers with the map of shard ids. */
export async function answerMetaUpdate(
  context: Context,
  request: ReceivedRequest,
): Promise<Answer> {
  return await withPayload(context, request.UploadSize, async (bytes) => {
    return await context.serially(async () => await update(context, request, bytes))
  })
}

async function update(
  { metaClient, tsdbStore }: Context,
  request: ReceivedRequest,
  bytes: Uint8Array,
): Promise<Answer> {
  const current = await metaClient.data()
  let imported: Imported
  try {
    imported = importData(current, decodeData(bytes, 'uploaded metastore'), {
      backupDatabase: request.BackupDatabase,
      restoreDatabase: request.RestoreDatabase,
      backupRetentionPolicy: request.BackupRetentionPolicy,
      restoreRetentionPolicy: request.RestoreRetentionPolicy,
    })
  } catch (error) {
    // The one refusal with an answer of its own: influxd's client takes no pairs for "not changed".
    const refusal = asSnapError(error, 'E_DESTINATION', 'metadata update')
    return { last: encodeShardIds(new Map()), refusal }
  }
  // In this order: influxd makes shards that the metastore alone has, but would give the number of an unknown one again.
  await metaClient.setData(imported.data)
  await createShards(imported, { metaClient, tsdbStore })
  return { last: encodeShardIds(liveShardIds(imported)) }
}

/** A shard that is not mapped is skipped by every client, which is right for one whose group is deleted. */
function liveShardIds({ shardIds, deletedShardIds }: Imported): Map<bigint, bigint> {
  return new Map([...shardIds].filter(([, id]) => !deletedShardIds.has(id)))
}

/** The databases just imported, without which their shards cannot be. */
type Stores = Pick<Context, 'metaClient' | 'tsdbStore'>

/** Makes the shards of an import, or takes all of it back: its databases would be in the way of the next try. */
async function createShards(imported: Imported, stores: Stores): Promise<void> {
  const { tsdbStore } = stores
  const begun: ShardPath[] = []
  try {
    for (const shard of newShards(imported)) {
      begun.push(shard)
      await tsdbStore.createShard(...shard, true)
    }
  } catch (error) {
    await takeBack(imported, begun, stores).catch((cause) => {
      const { code, message } = asSnapError(error, 'E_DESTINATION', 'metadata update')
      const left = imported.newDatabases.map((name) => JSON.stringify(name)).join(', ')
      const why = `databases left behind: ${left}: ${messageOf(cause)}`
      throw new SnapError(code, `${message}; ${why}`, { cause: error })
    })
    throw error
  }
}

/** Their numbers stay used. */
async function takeBack(
  { newDatabases }: Imported,
  shards: readonly ShardPath[],
  { metaClient, tsdbStore }: Stores,
): Promise<void> {
  await metaClient.setData(withoutDatabases(await metaClient.data(), newDatabases))
  for (const shard of shards) await tsdbStore.deleteShard?.(...shard)
}

type ShardPath = readonly [database: string, retentionPolicy: string, id: bigint]

function newShards({ data, newDatabases }: Imported): ShardPath[] {
  return listShards(data)
    .filter(({ database }) => newDatabases.includes(database))
    .map(({ database, retentionPolicy, shard }) => [database, retentionPolicy, shard.id])
}
