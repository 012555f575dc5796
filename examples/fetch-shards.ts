/**
 * Asks a server on the snapshotter port (influxd, or `snap serve`) what databases it has and fetches the shards of one, each
 * into a tar of its own. What arrives is checked on its way: a tar that was cut is an error and leaves no file.
 *
 *     node fetch-shards.js 127.0.0.1:8088
 *     node fetch-shards.js 127.0.0.1:8088 telegraf
 */
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import {
  Client,
  type ListedShard,
  listShards,
  packShardTar,
  readShardTar,
  SnapError,
} from 'influx-snap'

const [host = '127.0.0.1:8088', database] = process.argv.slice(2)
/** Every wait has a deadline of its own; these are for a server that is near and idle. */
const client = new Client(host, { connect: 5_000, firstByte: 60_000 })
/** Ctrl-C stops whatever is waited for. */
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

async function list(): Promise<void> {
  const data = await client.metastoreBackup(stop.signal)
  for (const { name, defaultRetentionPolicy } of data.databases) {
    const shards = listShards(data).filter((listed) => listed.database === name)
    console.log(`${name}: ${shards.length} shards, ${defaultRetentionPolicy} by default`)
  }
}

/** Fetches one shard. Nothing of it is ever held in memory but the chunk that passes. */
async function fetchShard({ database, retentionPolicy, group, shard }: ListedShard): Promise<void> {
  const file = `${database}.${shard.id}.tar`
  const tar = client.shardBackup({ database, retentionPolicy, shardId: shard.id }, stop.signal)
  try {
    await pipeline(packShardTar(readShardTar(tar)), createWriteStream(`${file}.pending`))
    await rename(`${file}.pending`, file)
  } finally {
    await rm(`${file}.pending`, { force: true })
  }
  // Times of InfluxDB are nanoseconds, too large for a number.
  const start = new Date(Number(group.startTime / 1_000_000n)).toISOString()
  console.log(`${file}: ${retentionPolicy}, points from ${start}`)
}

try {
  if (database === undefined) await list()
  else {
    const shards = listShards(await client.metastoreBackup(stop.signal))
    for (const listed of shards) if (listed.database === database) await fetchShard(listed)
  }
} catch (error) {
  if (!(error instanceof SnapError)) throw error
  // The code is stable, for programs; message and hint are for people.
  console.error(`${error.code}: ${error.message}`)
  if (error.hint !== undefined) console.error(error.hint)
  process.exitCode = error.exitCode
}
