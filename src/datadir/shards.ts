import { SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import { listShards } from '../meta/index.ts'
import {
  directoryInside,
  listShardDirectories,
  type ShardLocation,
  shardParts,
  shardRelativePath,
} from './layout.ts'

const placesOf = new WeakMap<Data, ReadonlyMap<bigint, ShardLocation>>()

/** The places that the metastore gives its shards; deleted ones may still have files. Found once for each decoded metastore. */
export function placesIn(data: Data): ReadonlyMap<bigint, ShardLocation> {
  let places = placesOf.get(data)
  if (places === undefined) {
    const listed = listShards(data, { includeDeleted: true })
    places = new Map(
      listed.map(({ database, retentionPolicy, shard }) => [
        shard.id,
        { database, retentionPolicy, shardId: shard.id },
      ]),
    )
    placesOf.set(data, places)
  }
  return places
}

/** Returns where the metastore has the shard, whether it is there or not; `undefined` if it has none, or its group is deleted. */
export function findPlace(data: Data, id: bigint): ShardLocation | undefined {
  const isLive = listShards(data).some(({ shard }) => shard.id === id)
  return isLive ? placesIn(data).get(id) : undefined
}

/** Looks for a shard that the metastore does not know; influxd opens such a one too. */
async function findUnknown(dataDir: string, id: bigint): Promise<ShardLocation | undefined> {
  const found = (await listShardDirectories(dataDir)).filter(({ shardId }) => shardId === id)
  if (found.length < 2) return found[0]
  const paths = found.map(shardRelativePath).join(', ')
  throw new SnapError('E_SOURCE', `shard ${id} is there more than once: ${paths}`)
}

/**
 * Finds the shard `id`: where the metastore says, or, if that does not know it, wherever it is. `undefined` if it has no
 * directory.
 * @throws SnapError `E_SOURCE` if a symbolic link stands in its way, or it is in two places
 */
export async function findShard(
  data: Data,
  dataDir: string,
  id: bigint,
): Promise<ShardLocation | undefined> {
  const place = placesIn(data).get(id)
  if (place === undefined) return await findUnknown(dataDir, id)
  return (await directoryInside(dataDir, shardParts(place))) === undefined ? undefined : place
}
