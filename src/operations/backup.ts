import { SnapError } from '../errors.ts'
import { type Data, decodeData, type ListedShard, listShards } from '../meta/index.ts'
import { listSets } from '../portable/sets.ts'
import { checkTarget } from '../portable/target.ts'
import { parseShardPath } from '../protocol/index.ts'
import type { Store } from '../storage/index.ts'
import type { ExactRange } from './fetch-shard.ts'
import { type FetchedShards, type FetchShardsOptions, fetchShards } from './fetch-shards.ts'
import type { ShardName } from './inspect.ts'
import { removeLeftovers } from './leftovers.ts'
import { noProgress } from './progress.ts'
import { checkSelection, type Selection, selectShards } from './selection.ts'
import { isExactServer, type OpenServer } from './server.ts'
import { SetWriter } from './set-writer.ts'

/** What to back up, and how. */
export interface BackupOptions extends Omit<FetchShardsOptions, 'client' | 'from' | 'exactExport'> {
  readonly server: OpenServer
  readonly store: Store
  readonly selection: Selection
  /** Only say what would be done. */
  readonly dryRun: boolean
  /** The version that is written into the catalog. */
  readonly version: string
}

/** What a backup did. */
export interface BackupResult extends FetchedShards {
  /** The name of the set; undefined after a dry run. */
  readonly set: string | undefined
  /** Shards of the metastore that the server does not have: nothing was written to them yet, or they did not open. */
  readonly absent: readonly ShardName[]
  /** Acknowledged points that the source itself has lost, one line each. */
  readonly lost: readonly string[]
}

interface Plan {
  readonly exactExport: boolean
  readonly metaBytes: Uint8Array
  readonly data: Data
  readonly shards: readonly ShardName[]
  readonly absent: readonly ShardName[]
}

/**
 * Backs up the selected shards as one new set. The set is published when all of it is whole, or nothing is left.
 * @throws SnapError `E_NOTHING_MATCHED`, `E_TARGET_FOREIGN`, `E_SOURCE`, `E_SOURCE_DAMAGED`, `E_DESTINATION` and what the client throws
 */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  const { server, store, signal, range } = options
  const progress = options.progress ?? noProgress
  const listing = await listSets(store, signal)
  const plan = await planBackup(options)
  const kind = range === undefined ? 'full' : 'range'
  await checkTarget(listing, { clusterId: plan.data.clusterId, kind }, signal)
  progress({ type: 'plan', task: 'backup', shards: plan.shards.length })
  if (options.dryRun) return dryRunResult(plan)
  await removeLeftovers(store, listing)
  const set = await SetWriter.begin(store, listing)
  try {
    const fetched = await fetchShards(set, plan.shards, {
      ...options,
      client: server.client,
      from: server.name,
      exactExport: plan.exactExport,
    })
    if (fetched.shards.length === 0) throw nothingStored(fetched)
    await set.commit(plan.metaBytes, {
      ...catalogFacts(options, plan.data, kind),
      skipped: [
        ...fetched.dropped.map((shard) => ({ ...shard, lost: false })),
        ...fetched.skipped.map((shard) => ({ ...shard, lost: true })),
      ],
    })
    return { ...fetched, set: set.name, absent: plan.absent, lost: server.losses() }
  } catch (error) {
    await set.discard()
    throw error
  }
}

function catalogFacts(options: BackupOptions, { clusterId }: Data, kind: 'full' | 'range') {
  const { selection, server, range, since, version } = options
  return {
    tool: { name: 'snap', version },
    kind,
    ...(range && { range: { ...range, exact: true } }),
    server: { clusterId, host: server.name },
    selection: {
      databases: selection.databases,
      retentionPolicy: selection.retentionPolicy,
      shardIds: selection.shards,
      excludeDatabases: selection.excludeDatabases,
      since,
    },
    completeness: 'unconfirmed',
  } as const
}

function dryRunResult(plan: Plan): BackupResult {
  const shards = plan.shards.map((shard) => ({ ...shard, bytes: 0, stored: 0 }))
  const none = { dropped: [], skipped: [], unchanged: [], lost: [] }
  return { set: undefined, shards, absent: plan.absent, ...none }
}

/** Fetches the metastore, the list of shards and, if a shard was born between the two, the metastore again. */
async function planBackup({ server, selection, range, signal }: BackupOptions): Promise<Plan> {
  const { client, name } = server
  const { meta: first, node } = await client.metastoreBytes(signal)
  checkSelection(decodeData(first, `metastore of ${name}`), selection, name)
  const { databases = [] } = selection
  const [only] = databases
  const { Paths } = await client.databaseInfo(databases.length === 1 ? only : '', signal)
  const onServer = new Set(Paths.map((path) => parseShardPath(path).shardId))
  const known = new Set(listShards(decodeData(first)).map(({ shard }) => shard.id))
  const again = [...onServer].some((id) => !known.has(id))
  const metaBytes = again ? (await client.metastoreBytes(signal)).meta : first
  const data = decodeData(metaBytes, `metastore of ${name}`)
  const selected = selectShards(data, selection).filter((shard) => overlaps(shard, range))
  const shards = selected.filter(({ shard }) => onServer.has(shard.id)).map(shardName)
  const absent = selected.filter(({ shard }) => !onServer.has(shard.id)).map(shardName)
  const exactExport = isExactServer(node)
  if (shards.length > 0) return { exactExport, metaBytes, data, shards, absent }
  throw new SnapError('E_NOTHING_MATCHED', `${name} has no shards in this selection`, {
    hint: 'a database has shards once points are written to it; there is nothing to back up yet',
  })
}

function overlaps({ group }: ListedShard, range: ExactRange | undefined): boolean {
  return range === undefined || (group.startTime <= range.end && group.endTime > range.start)
}

function shardName({ database, retentionPolicy, shard }: ListedShard): ShardName {
  return { database, retentionPolicy, shardId: shard.id }
}

function nothingStored({ unchanged, dropped }: FetchedShards): SnapError {
  if (unchanged.length > 0) {
    const message = `none of ${unchanged.length} shards has changed since then`
    const hint = 'no set was written: the older sets hold all of it'
    return new SnapError('E_NOTHING_MATCHED', message, { hint })
  }
  const why = dropped.length > 0 ? 'every shard was dropped meanwhile' : 'no shard was fetched'
  return new SnapError('E_NOTHING_MATCHED', `no set was written: ${why}`)
}
