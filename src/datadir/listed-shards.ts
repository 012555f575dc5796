import { readdir } from 'node:fs/promises'
import { asSnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import type { DataDirectoryPaths } from './config.ts'
import { directoryInside, type ShardLocation, shardParts, shardRelativePath } from './layout.ts'
import { readShardState, type ShardState } from './shard-state.ts'
import { findShard, placesIn } from './shards.ts'

/** A shard that is on this disk. */
export interface ListedShard {
  /** Below the data directory: `database/policy/id`. */
  readonly path: string
  /** What its files are now, if that was asked. */
  readonly state?: ShardState | undefined
}

/** How shards are listed. */
export interface ListShardsOptions {
  readonly paths: DataDirectoryPaths
  readonly data: Data
  /** Read the state of each shard too. */
  readonly stated: boolean
}

/**
 * So many shards are looked at together, for the threads that read directories to be busy. No more, as what is under way would
 * outlive the collections of young objects and be kept with the old ones.
 */
const TOGETHER = 16

/**
 * Finds many shards as {@link findShard} finds one, but reads each directory of a policy once, instead of looking at every
 * part of every path.
 * @throws SnapError `E_SOURCE` if a symbolic link stands in the way, or a directory cannot be read
 */
export async function listShardsOnDisk(
  ids: readonly bigint[],
  { paths, data, stated }: ListShardsOptions,
): Promise<Map<bigint, ListedShard>> {
  const isInData = finderIn(paths.dataDir)
  const isInWal = finderIn(paths.walDir)
  const places = placesIn(data)
  const listOne = async (id: bigint): Promise<ListedShard | undefined> => {
    const place = places.get(id)
    const location = place ?? (await findShard(data, paths.dataDir, id))
    if (location === undefined || !(await isInData(location))) return undefined
    const path = shardRelativePath(location)
    if (!stated) return { path }
    // A shard may have no WAL; what stands there instead of its directory is refused.
    await isInWal(location)
    const [dataPath, walPath] = [`${paths.dataDir}/${path}`, `${paths.walDir}/${path}`]
    return { path, state: await readShardState({ dataPath, walPath }) }
  }
  const found = new Map<bigint, ListedShard>()
  for (let at = 0; at < ids.length; at += TOGETHER) {
    const some = ids.slice(at, at + TOGETHER)
    const listed = await Promise.all(some.map(listOne))
    for (const [i, shard] of listed.entries()) {
      const id = some[i]
      if (shard !== undefined && id !== undefined) found.set(id, shard)
    }
  }
  return found
}

/** Returns what tells whether shards are directories below `root`; it reads the directory of each policy once. */
function finderIn(root: string): (location: ShardLocation) => Promise<boolean> {
  const policies = new Map<string, Promise<ReadonlyMap<string, boolean>>>()
  return async (location) => {
    const { database, retentionPolicy, shardId } = location
    const policy = `${database}/${retentionPolicy}`
    const reading = policies.get(policy) ?? readPolicy(root, location)
    policies.set(policy, reading)
    const isDirectory = (await reading).get(String(shardId))
    if (isDirectory !== false) return isDirectory === true
    return (await directoryInside(root, shardParts(location))) !== undefined
  }
}

/** Returns the names in a directory of a policy, and which are directories; none if it is not there. */
async function readPolicy(
  root: string,
  location: ShardLocation,
): Promise<ReadonlyMap<string, boolean>> {
  const path = await directoryInside(root, shardParts(location).slice(0, -1))
  if (path === undefined) return new Map()
  try {
    const entries = await readdir(path, { withFileTypes: true })
    return new Map(entries.map((entry) => [entry.name, entry.isDirectory()]))
  } catch (error) {
    throw asSnapError(error, 'E_SOURCE', path)
  }
}
