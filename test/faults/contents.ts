import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { RandomAccess } from '../../src/io/random-access.ts'
import { readAll } from '../../src/io/spool.ts'
import { type Data, findDatabase, findRetentionPolicy, listShards } from '../../src/meta/index.ts'
import { BackupSource } from '../../src/operations/backup-source.ts'
import { openRestorable } from '../../src/operations/open-restorable.ts'
import { openServer, type ServerPlace } from '../../src/operations/server.ts'
import { ServerSource } from '../../src/operations/server-source.ts'
import type { ShardSource } from '../../src/operations/shard-source.ts'
import { createThrottle } from '../../src/operations/throttle.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tombstoneFileName } from '../../src/tsm/file-name.ts'
import { mergeTsm, type TsmSource } from '../../src/tsm/merge.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { readTombstones } from '../../src/tsm/tombstone-set.ts'
import { type Block, stringAt } from '../../src/tsm/values.ts'

/** Every shard of a database, by its policy with its settings and the start of its group, with what it holds. */
export type Contents = Readonly<Record<string, string>>

/** Reads what a set holds, the newest of `directory` or the one named. */
export async function contentsOfSet(
  directory: string,
  database: string,
  set?: string,
): Promise<Contents> {
  const store = new LocalStore(directory)
  const backup = await openRestorable(store, { set })
  return await contentsOf(new BackupSource(store, backup), database)
}

/** Reads what a database holds: of an influxd or a `snap serve` (`host`), or of a data directory. */
export async function contentsOfServer(place: ServerPlace, database: string): Promise<Contents> {
  const server = await openServer(place)
  try {
    return await contentsOf(new ServerSource(server), database)
  } finally {
    await server.close()
  }
}

async function contentsOf(source: ShardSource, database: string): Promise<Contents> {
  const { signal } = new AbortController()
  const options = { tempDir: tmpdir(), throttle: createThrottle(undefined), signal }
  const { data, present } = await source.readMetastore({ databases: [database] }, signal)
  const contents: Record<string, string> = {}
  for (const listed of listShards(data)) {
    if (listed.database !== database || !present.has(listed.shard.id)) continue
    const { retentionPolicy, group } = listed
    const shard = { database, retentionPolicy, shardId: listed.shard.id }
    const { files, close } = await source.openShard({ shard }, options)
    const held = await pointsIn(files).finally(close)
    contents[`${policyIn(data, database, retentionPolicy)} ${group.startTime}`] = held
  }
  return contents
}

function policyIn(data: Data, database: string, name: string): string {
  const found = findDatabase(data, database)
  const { duration, shardGroupDuration } = (found && findRetentionPolicy(found, name)) ?? {}
  return `${name} of ${duration}, ${shardGroupDuration}`
}

/** Sums up all points, one by one, in whatever files and blocks they stand. */
async function pointsIn(files: ReadonlyMap<string, RandomAccess>): Promise<string> {
  const hash = createHash('sha256')
  let points = 0
  for await (const { key, blocks } of mergeTsm(await sourcesIn(files))) {
    for await (const block of blocks) {
      for (const [i, time] of block.times.entries()) {
        hash.update(`${Buffer.from(key)} ${block.type} ${time} ${valueAt(block, i)}\n`)
        points++
      }
    }
  }
  return points === 0 ? 'nothing' : `${points} points ${hash.digest('hex')}`
}

function valueAt({ type, values }: Block, i: number): string {
  return type === 'string' ? Buffer.from(stringAt(values, i)).toString() : String(values[i])
}

async function sourcesIn(files: ReadonlyMap<string, RandomAccess>): Promise<TsmSource[]> {
  const names = [...files.keys()].filter((name) => name.endsWith('.tsm')).sort()
  return await Promise.all(
    names.map(async (name) => {
      const [file, deleted] = [files.get(name), files.get(tombstoneFileName(name))]
      if (file === undefined) throw new Error(`${name} is gone`)
      const tombstones = deleted && (await readTombstones(readAll(deleted), deleted.name))
      return { file: await openTsm(file), tombstones }
    }),
  )
}
