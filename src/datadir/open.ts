import { realpath, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import type { DataDirectoryPaths } from './config.ts'
import { dropDatabase } from './drop-database.ts'
import { permitWhileUnused, refuseChanges } from './guard.ts'
import { isInside, listShardDirectories, shardRelativePath } from './layout.ts'
import { lockDirectories } from './lock.ts'
import { MetaFile } from './meta-file.ts'
import { makeRoot } from './roots.ts'
import { type Logger, ShardStore } from './store.ts'

/** How a data directory is opened. */
export interface OpenOptions {
  /** `read-only` creates nothing and changes nothing, and may stand beside a running influxd. */
  readonly mode: 'read-only' | 'read-write'
  /** The operator's word that no influxd uses the directory, where that cannot be seen. Default false. */
  readonly influxdIsStopped?: boolean | undefined
  /** Read-write, a directory or metastore that is missing is an error; default: it is made. */
  readonly mustExist?: boolean | undefined
  /** Gets temporary files, never inside the directories. Default: the system's. */
  readonly tempDir?: string | undefined
  readonly logger?: Logger | undefined
  /** Told when acknowledged points are missing from what is sent: their place in the WAL is damaged. */
  readonly onLoss?: ((shardId: bigint, message: string) => void) | undefined
  /** What is sent does not leave this process: the statement that it is complete has no SHA-256 of it then. Default false. */
  readonly sendsWithin?: boolean | undefined
}

/** An open data directory, in the shape that the service wants. */
export interface DataDirectory {
  readonly paths: DataDirectoryPaths
  readonly metaClient: MetaFile
  readonly tsdbStore: ShardStore
  /** Removes a database that may have these shards and no others, see {@link dropDatabase}. */
  dropDatabase(name: string, shardIds: ReadonlySet<bigint>): Promise<void>
  /** Lets go of the lock. May be called twice. */
  close(): Promise<void>
}

async function checkThere(path: string, hint: string): Promise<void> {
  try {
    if ((await stat(path)).isDirectory()) return
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw asSnapError(error, 'E_SOURCE', path)
    throw new SnapError('E_SOURCE', `${path}: no such directory`, { cause: error, hint })
  }
  throw new SnapError('E_SOURCE', `${path}: expected a directory`, { hint })
}

const CHECK_PATHS =
  'check the path; [data] and [meta] of influxdb.conf say where the directories are'

/** A temporary file inside the data directory would be a change, and under a load the last thing it needs. */
async function checkTempDir(tempDir: string, directories: readonly string[]): Promise<void> {
  await checkThere(tempDir, 'name another with --temp-dir')
  const temp = await realpath(tempDir)
  for (const directory of directories) {
    if (!isInside(await realpath(directory), temp)) continue
    throw new SnapError('E_USAGE', `${tempDir}: the temporary directory is inside ${directory}`)
  }
}

/** Shards without a metastore belong to one elsewhere: a new one would give out their numbers again. */
async function createMetastore(metaFile: MetaFile, { dataDir, metaDir }: DataDirectoryPaths) {
  if (await metaFile.isThere()) return
  const [shard] = await listShardDirectories(dataDir)
  if (shard === undefined) return await metaFile.create()
  const path = shardRelativePath(shard)
  throw new SnapError(
    'E_DESTINATION',
    `${metaDir}: no metastore, but ${dataDir} has shard ${path}`,
    {
      hint: 'name the meta directory of that influxd with --meta-dir; if its meta.db is lost, put data, wal and meta aside and restore into empty places',
    },
  )
}

const SILENT: Logger = { info() {}, warn() {} }

/**
 * Opens the directories of an influxd. Read-write makes what is missing, a metastore too, takes the lock, and refuses while
 * any other process uses them, or may do so unseen; it looks again before every change.
 * @throws SnapError `E_SOURCE` if a directory or the metastore is missing (read-only), `E_DESTINATION` if the directories are in
 * use or cannot be made, `E_LOCKED` if another snap has them open for writing, `E_USAGE` for the temporary directory
 */
export async function openDataDirectory(
  paths: DataDirectoryPaths,
  options: OpenOptions,
): Promise<DataDirectory> {
  const { mode, influxdIsStopped = false, tempDir = tmpdir(), logger = SILENT } = options
  const makes = mode === 'read-write' && options.mustExist !== true
  const directories = [paths.dataDir, paths.walDir, paths.metaDir]
  const isWritable = mode === 'read-write'
  const permit = isWritable ? permitWhileUnused(directories, influxdIsStopped) : refuseChanges
  if (isWritable) await permit()
  if (makes) for (const path of directories) await makeRoot(path)
  for (const path of directories) await checkThere(path, CHECK_PATHS)
  await checkTempDir(tempDir, directories)
  const lock = isWritable ? await lockDirectories(directories) : undefined
  const close = async () => await lock?.release()
  try {
    const metaClient = new MetaFile(paths.metaDir, permit)
    if (makes) await createMetastore(metaClient, paths)
    await metaClient.data()
    const onLoss = options.onLoss ?? (() => {})
    const { sendsWithin = false } = options
    const store = { paths, metaFile: metaClient, permit, tempDir, logger, onLoss, sendsWithin }
    return {
      paths,
      metaClient,
      tsdbStore: new ShardStore(store),
      dropDatabase: (name, shardIds) => dropDatabase(store, name, shardIds),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
