import { Client } from '../client/index.ts'
import { refuseChanges } from '../datadir/guard.ts'
import {
  type DataDirectory,
  type OpenShard,
  openDataDirectory,
  openStagingArea,
  type PathOptions,
  resolveDataDirectory,
  type StagingArea,
} from '../datadir/index.ts'
import { MetaFile } from '../datadir/meta-file.ts'
import { duplexPair } from '../io/duplex-pair.ts'
import { type Data, decodeData, findDatabase } from '../meta/index.ts'
import type { GoJson } from '../protocol/index.ts'
import { Service } from '../service/service.ts'

/** A data directory that is served in this process. */
export interface DirectoryPlace {
  readonly directory: PathOptions
  readonly mode: 'read-only' | 'read-write'
  /** The operator's word, where it cannot be seen that no influxd uses the directory. */
  readonly influxdIsStopped?: boolean | undefined
  readonly tempDir?: string | undefined
  /** Read-write, a directory that is missing is an error; default: it is made. */
  readonly mustExist?: boolean | undefined
}

/** What can be done to a data directory beyond the protocol. */
export interface WritableDirectory
  extends Pick<
    DataDirectory['tsdbStore'],
    'standing' | 'restoreFiles' | 'adoptFiles' | 'holdsStaged' | 'addFiles' | 'replaceFiles'
  > {
  readonly createShard: DataDirectory['tsdbStore']['createShard']
  /** Ends the service first, for good: nothing must be on its way into the directory any more. */
  readonly dropDatabase: DataDirectory['dropDatabase']
  /** Changes the metastore: `change` gets a copy of it. */
  readonly changeMetadata: (change: (data: Data) => void) => Promise<void>
}

/** What our own service says of itself after the metastore; a stock server says `null`. */
export const SNAP_NODE: GoJson = { snap: { exactExport: true, statement: true, state: true } }

/** A data directory that speaks the snapshotter protocol, see OpenServer. */
export interface ServedDirectory {
  readonly client: Client
  readonly name: string
  readonly openShard: (shardId: bigint, signal: AbortSignal) => Promise<OpenShard>
  readonly readSizes: DataDirectory['tsdbStore']['readSizes']
  readonly directory: WritableDirectory
  losses(): readonly string[]
  close(): Promise<void>
}

/** Returns the path of a data directory that is yet to be made; undefined if it is there. */
export async function missingDirectory(place: DirectoryPlace): Promise<string | undefined> {
  const { dataDir, metaDir } = await resolveDataDirectory(place.directory)
  const isThere = await new MetaFile(metaDir, refuseChanges).isThere()
  return isThere ? undefined : dataDir
}

/**
 * Opens a place for files of these databases, which are not to be seen in a data directory yet; none if it has one of them, as
 * nothing will come of it.
 * @throws SnapError as {@link openStagingArea}
 */
export async function openStaging(
  place: DirectoryPlace,
  databases: readonly string[],
): Promise<StagingArea | undefined> {
  const paths = await resolveDataDirectory(place.directory)
  const metaFile = new MetaFile(paths.metaDir, refuseChanges)
  const data = (await metaFile.isThere()) ? await metaFile.data() : undefined
  if (data && databases.some((name) => findDatabase(data, name))) return undefined
  return await openStagingArea(paths, place.influxdIsStopped ?? false)
}

/**
 * Opens a data directory and serves it in this process.
 * @throws SnapError as {@link openDataDirectory}
 */
export async function serveDirectory(place: DirectoryPlace): Promise<ServedDirectory> {
  const paths = await resolveDataDirectory(place.directory)
  const losses: string[] = []
  const onLoss = (shardId: bigint, message: string) => {
    losses.push(`shard ${shardId}: ${message}`)
  }
  const { mode, influxdIsStopped, tempDir, mustExist } = place
  const options = { mode, influxdIsStopped, tempDir, mustExist, onLoss, sendsWithin: true }
  const directory = await openDataDirectory(paths, options)
  const { metaClient, tsdbStore } = directory
  const service = new Service({ metaClient, tsdbStore, node: SNAP_NODE })
  const connect = async () => {
    const [ours, theirs] = duplexPair()
    void service.handle(theirs, paths.dataDir)
    return ours
  }
  const client = new Client(connect, { reused: true })
  return {
    client,
    name: paths.dataDir,
    openShard: (shardId, signal) => tsdbStore.openShard(shardId, signal),
    readSizes: (ids, signal) => tsdbStore.readSizes(ids, signal),
    directory: {
      createShard: (database, policy, id) => tsdbStore.createShard(database, policy, id),
      standing: (shardId) => tsdbStore.standing(shardId),
      restoreFiles: (shard, files, signal) => tsdbStore.restoreFiles(shard, files, signal),
      adoptFiles: (shard, files) => tsdbStore.adoptFiles(shard, files),
      holdsStaged: (shardId, files) => tsdbStore.holdsStaged(shardId, files),
      addFiles: (shardId, write) => tsdbStore.addFiles(shardId, write),
      replaceFiles: (shardId, write, state) => tsdbStore.replaceFiles(shardId, write, state),
      changeMetadata: async (change) => {
        const data = decodeData(await metaClient.marshalBinary())
        change(data)
        await metaClient.setData(data)
      },
      dropDatabase: async (database, shardIds) => {
        await service.close()
        await directory.dropDatabase(database, shardIds)
      },
    },
    losses: () => [...new Set(losses)],
    close: async () => {
      await service.close()
      await directory.close()
    },
  }
}
