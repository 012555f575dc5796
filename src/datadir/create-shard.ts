import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapError } from '../errors.ts'
import type { DataDirectoryPaths } from './config.ts'
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

/** Throws if files of some earlier shard have the place: influxd would take them for the new one's. */
async function checkEmpty(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name)
    const stats = await statIfThere(path)
    if (name === STAGING_DIRECTORY || stats === undefined) continue
    const isEmptyIndex = name === INDEX_DIRECTORY && (await namesIn(path)).length === 0
    const isEmptySegment = name.endsWith('.wal') && stats.size === 0
    if (isEmptyIndex || isEmptySegment) continue
    throw new SnapError('E_TARGET_EXISTS', `${path}: left by another shard of the same number`, {
      hint: 'move that directory away if no database needs it',
    })
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
