import { asSnapError } from '../errors.ts'
import type { Imported } from '../meta/index.ts'
import { decodeData, findDatabase, importData, isDeleted } from '../meta/index.ts'
import { encodeShardIds, type ReceivedRequest } from '../protocol/index.ts'
import type { Answer, Context } from './context.ts'
import { readPayload } from './read-opening.ts'
import type { TSDBStore } from './stores.ts'

/** Imports databases of an uploaded metastore, makes their shards and answers with the map of shard ids. */
export async function answerMetaUpdate(
  context: Context,
  request: ReceivedRequest,
): Promise<Answer> {
  const { connection, reader, limits } = context
  const payload = readPayload(reader, request.UploadSize)
  const bytes = await connection.within(limits.upload, 'end of the metastore', payload)
  return await context.serially(async () => await update(context, request, bytes))
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
  await metaClient.setData(imported.data)
  await createShards(imported, tsdbStore)
  return { last: encodeShardIds(liveShardIds(imported)) }
}

/** A shard that is not mapped is skipped by every client, which is right for one whose group is deleted. */
function liveShardIds({ shardIds, deletedShardIds }: Imported): Map<bigint, bigint> {
  return new Map([...shardIds].filter(([, id]) => !deletedShardIds.has(id)))
}

async function createShards({ data, newDatabases }: Imported, tsdbStore: TSDBStore) {
  for (const name of newDatabases) {
    for (const policy of findDatabase(data, name)?.retentionPolicies ?? []) {
      const live = policy.shardGroups.filter((group) => !isDeleted(group))
      for (const { id } of live.flatMap((group) => group.shards)) {
        await tsdbStore.createShard(name, policy.name, id, true)
      }
    }
  }
}
