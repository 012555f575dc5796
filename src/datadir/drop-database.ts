import { rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { fsyncDirectory } from '../io/durable.ts'
import { type Data, findDatabase, listShards, withoutDatabases } from '../meta/index.ts'
import type { DataDirectoryPaths } from './config.ts'
import {
  directoryInside,
  INDEX_DIRECTORY,
  namesIn,
  type ShardLocation,
  shardParts,
} from './layout.ts'
import type { MetaFile, Permit } from './meta-file.ts'

/** What {@link dropDatabase} works on. */
export interface DropOptions {
  readonly paths: DataDirectoryPaths
  readonly metaFile: MetaFile
  readonly permit: Permit
}

/**
 * Removes a database, its shards' files and directories, and nothing else. First the files go, then the database leaves
 * the metastore, then the directories, which are empty by then, or before it where a full disk leaves no room for the
 * metastore: wherever it stops, influxd opens what is left. The numbers of its shards are not given again. A database that is not there is removed already.
 * @param shardIds the shards that the database may have
 * @throws SnapError `E_DESTINATION` if it has others, or something cannot be removed
 */
export async function dropDatabase(
  { paths, metaFile, permit }: DropOptions,
  database: string,
  shardIds: ReadonlySet<bigint>,
): Promise<void> {
  await permit()
  const data = await metaFile.data()
  if (findDatabase(data, database) === undefined) return
  const shards = shardsOf(data, database)
  const stranger = shards.find(({ shardId }) => !shardIds.has(shardId))
  if (stranger !== undefined) {
    const name = JSON.stringify(database)
    throw new SnapError(
      'E_DESTINATION',
      `database ${name} has shard ${stranger.shardId}, which is not of this run`,
    )
  }
  const roots = [paths.dataDir, paths.walDir]
  for (const root of roots) for (const shard of shards) await emptyShard(root, shard)
  const removeShards = async () => {
    for (const root of roots) for (const shard of shards) await removeShard(root, shard)
  }
  const leave = async () => {
    await permit()
    await metaFile.setData(withoutDatabases(data, [database]))
  }
  try {
    await leave()
  } catch (error) {
    if (!isFull(error)) throw error
    // Directories take room too.
    await removeShards()
    await leave()
  }
  await removeShards()
}

function isFull(error: unknown): boolean {
  return error instanceof SnapError && errnoOf(error.cause) === 'ENOSPC'
}

function shardsOf(data: Data, name: string): ShardLocation[] {
  return listShards(data, { includeDeleted: true })
    .filter(({ database }) => database === name)
    .map(({ database, retentionPolicy, shard }) => ({
      database,
      retentionPolicy,
      shardId: shard.id,
    }))
}

/** A shard without its `index` would be opened with the other kind of index: the directory stays. */
async function emptyShard(root: string, shard: ShardLocation): Promise<void> {
  const directory = await directoryInside(root, shardParts(shard))
  if (directory === undefined) return
  const names = await namesIn(directory)
  for (const name of names) {
    if (name !== INDEX_DIRECTORY) await remove(join(directory, name))
  }
  await fsyncDirectory(directory)
}

/** Removes the shard's directory, if it is there, and those of policy and database that are empty then. */
export async function removeShard(root: string, shard: ShardLocation): Promise<void> {
  const parts = shardParts(shard)
  const directory = await directoryInside(root, parts)
  if (directory !== undefined) {
    await remove(directory)
    await fsyncDirectory(dirname(directory))
  }
  for (const length of [2, 1]) {
    const parent = await directoryInside(root, parts.slice(0, length))
    if (parent === undefined) continue
    try {
      await rmdir(parent)
      await fsyncDirectory(dirname(parent))
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) return
      throw asSnapError(error, 'E_DESTINATION', parent)
    }
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', path)
  }
}
