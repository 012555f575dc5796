import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { SnapError } from '../errors.ts'
import type { Connection } from '../io/connection.ts'
import type { DatabaseInfo, RetentionPolicyInfo } from '../meta/index.ts'
import {
  asksFor,
  encodeGoJson,
  encodeMetastoreFrame,
  encodeResponse,
  type ReceivedRequest,
  RequestType,
} from '../protocol/index.ts'
import type { Answer, Context } from './context.ts'
import { answerMetaUpdate } from './meta-update.ts'
import type { ListedShard, TSDBStore } from './stores.ts'

type Answerer = (context: Context, request: ReceivedRequest) => Promise<Answer>

const ANSWERERS: { readonly [type: number]: Answerer } = {
  [RequestType.ShardBackup]: async ({ connection, tsdbStore }, request) =>
    await stream(connection, (sink, signal) =>
      tsdbStore.backupShard(
        request.ShardID,
        toInt64(request.Since ?? MIN_INT64),
        sink,
        signal,
        asksFor(request, 'SnapTrailer'),
      ),
    ),
  [RequestType.ShardExport]: async ({ connection, tsdbStore }, request) => {
    const { ShardID, ExportStart, ExportEnd } = request
    const start = toInt64(ExportStart ?? MIN_INT64)
    const end = toInt64(ExportEnd ?? MAX_INT64)
    return await stream(connection, (sink, signal) =>
      tsdbStore.exportShard(ShardID, start, end, sink, signal, asksFor(request, 'SnapTrailer')),
    )
  },
  [RequestType.MetastoreBackup]: answerMetastore,
  [RequestType.SeriesFileBackup]: answerSeriesFile,
  [RequestType.DatabaseInfo]: answerDatabaseInfo,
  [RequestType.RetentionPolicyInfo]: answerRetentionPolicyInfo,
  [RequestType.MetaStoreUpdate]: answerMetaUpdate,
}

/**
 * Answers any request but an upload.
 * @throws SnapError `E_PROTOCOL` for an unknown type, and what the stores throw
 */
export async function answer(
  context: Context,
  type: number,
  request: ReceivedRequest,
): Promise<Answer> {
  const answerer = ANSWERERS[type]
  if (answerer === undefined) throw new SnapError('E_PROTOCOL', `unknown request type ${type}`)
  return await answerer(context, request)
}

const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n

/** Go's `UnixNano` overflows here and then selects other data. */
function toInt64(time: bigint): bigint {
  if (time < MIN_INT64) return MIN_INT64
  return time > MAX_INT64 ? MAX_INT64 : time
}

async function stream(
  connection: Connection,
  write: (sink: Writable, signal: AbortSignal) => void | Promise<void>,
): Promise<Answer> {
  const sink = connection.sink()
  await write(sink, connection.signal)
  if (!sink.writableEnded) sink.end()
  await finished(sink)
  return {}
}

async function answerMetastore({ metaClient, node }: Context): Promise<Answer> {
  const meta = await metaClient.marshalBinary()
  return { last: encodeMetastoreFrame({ meta, node: Buffer.from(`${encodeGoJson(node)}\n`) }) }
}

/** The series file follows from the TSM files, and influxd builds a missing one at start: there is nothing to keep. */
async function answerSeriesFile(context: Context, request: ReceivedRequest): Promise<Answer> {
  if (request.BackupDatabase !== '') await knownDatabase(context, request.BackupDatabase)
  return { last: new Uint8Array(1024) }
}

async function knownDatabase({ metaClient }: Context, name: string): Promise<DatabaseInfo> {
  const database = await metaClient.database(name)
  if (database !== undefined) return database
  throw new SnapError('E_SOURCE', `database not found: ${JSON.stringify(name)}`)
}

async function answerDatabaseInfo(context: Context, request: ReceivedRequest): Promise<Answer> {
  const name = request.BackupDatabase
  const databases =
    name === '' ? await context.metaClient.databases() : [await knownDatabase(context, name)]
  const policies = databases.flatMap((database) => database.retentionPolicies)
  return await answerPaths(context, request, policies)
}

async function answerRetentionPolicyInfo(
  context: Context,
  request: ReceivedRequest,
): Promise<Answer> {
  const name = request.BackupRetentionPolicy
  const database = await knownDatabase(context, request.BackupDatabase)
  const policy = database.retentionPolicies.find((candidate) => candidate.name === name)
  if (policy === undefined) {
    const path = `${request.BackupDatabase}.${name}`
    throw new SnapError('E_SOURCE', `retention policy not found: ${JSON.stringify(path)}`)
  }
  return await answerPaths(context, request, [policy])
}

/** Lists the shards that are here; those that another node has, or that are gone already, are left out. */
async function answerPaths(
  { tsdbStore }: Context,
  request: ReceivedRequest,
  policies: readonly RetentionPolicyInfo[],
): Promise<Answer> {
  const stated = asksFor(request, 'SnapState') && tsdbStore.listShards !== undefined
  const groups = policies.flatMap((policy) => policy.shardGroups)
  const ids = groups.flatMap((group) => group.shards).map(({ id }) => id)
  const listed = await (tsdbStore.listShards?.(ids, stated) ?? listEach(tsdbStore, ids))
  const shards = ids.flatMap((id) => listed.get(id) ?? [])
  const Paths = shards.map(({ path }) => path)
  const States = shards.map(({ state }) => ({
    State: state?.state ?? '',
    Shape: state?.shape ?? '',
  }))
  return { last: encodeResponse({ Paths, ...(stated && { States }) }) }
}

async function listEach(tsdbStore: TSDBStore, ids: readonly bigint[]) {
  const listed = new Map<bigint, ListedShard>()
  for (const id of ids) {
    if ((await tsdbStore.shard(id)) === undefined) continue
    listed.set(id, { path: await tsdbStore.shardRelativePath(id) })
  }
  return listed
}
