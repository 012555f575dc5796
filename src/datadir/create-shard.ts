import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapError } from '../errors.ts'
import type { DataDirectoryPaths } from './config.ts'
import { removeShard } from './drop-database.ts'
import {
  directoryInside,
  INDEX_DIRECTORY,
  namesIn,
  type ShardLocation,
  STAGING_DIRECTORY,
  shardParts,
  statIfThere,
} from './layout.ts'
import { makeDirectoryInside } from './owner.ts'

/** Returns the path of something in a shard's directory that only a shard in use has; `undefined` if it is empty. */
async function findContent(directory: string): Promise<string | undefined> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name)
    const stats = await statIfThere(path)
    if (name === STAGING_DIRECTORY || stats === undefined) continue
    const isEmptyIndex = name === INDEX_DIRECTORY && (await namesIn(path)).length === 0
    const isEmptySegment = name.endsWith('.wal') && stats.size === 0
    if (!isEmptyIndex && !isEmptySegment) return path
  }
  return undefined
}

/** Throws if files of some earlier shard have the place: influxd would take them for the new one's. */
async function checkEmpty(directory: string): Promise<void> {
  const path = await findContent(directory)
  if (path === undefined) return
  throw new SnapError('E_TARGET_EXISTS', `${path}: left by another shard of the same number`, {
    hint: 'move that directory away if no database needs it',
  })
}

/** Removes what there is of the directories of a new shard, with those above that are empty then. What is not empty stays. */
export async function unmakeShard(
  { dataDir, walDir }: DataDirectoryPaths,
  location: ShardLocation,
): Promise<void> {
  for (const root of [dataDir, walDir]) {
    const directory = await directoryInside(root, shardParts(location))
    if (directory !== undefined && (await findContent(directory)) !== undefined) continue
    await removeShard(root, location)
  }
}

/**
 * Makes the directories of a new shard: below the data and the WAL directory, and for a tsi1 target its empty `index`, without
 * which influxd would open it with the inmem index. Directories that are there and empty are taken as they are.
 * @throws SnapError `E_TARGET_EXISTS` if there are files in its place, `E_DESTINATION` on failure
 */
export async function makeShard(paths: DataDirectoryPaths, location: ShardLocation): Promise<void> {
  const parts = shardParts(location)
  for (const root of [paths.dataDir, paths.walDir]) {
    const directory = await directoryInside(root, parts)
    if (directory !== undefined) await checkEmpty(directory)
  }
  await makeDirectoryInside(paths.walDir, parts)
  const directory = await makeDirectoryInside(paths.dataDir, parts)
  if (paths.indexVersion === 'tsi1') {
    await makeDirectoryInside(paths.dataDir, [...parts, INDEX_DIRECTORY])
  } else if ((await statIfThere(join(directory, INDEX_DIRECTORY))) !== undefined) {
    await rmdir(join(directory, INDEX_DIRECTORY))
  }
}
