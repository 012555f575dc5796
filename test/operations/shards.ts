import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { encodeData } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import { openServer } from '../../src/operations/server.ts'
import { ServerSource } from '../../src/operations/server-source.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { blockOf, type Points } from '../formats/blocks.ts'
import type { Directories } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { tsmBytes } from '../tsm/files.ts'

export const DAY = 86_400_000_000_000n

/** A TSM file: composite keys in any order with their points, and what was deleted from it. */
export interface FileFixture {
  readonly points: Readonly<Record<string, Points>>
  readonly deleted?: readonly { readonly key: string; readonly time: bigint }[]
}

/** A shard of one day. */
export interface ShardFixture {
  readonly id: bigint
  readonly database: string
  readonly retentionPolicy: string
  /** Days since the epoch. */
  readonly day: bigint
  readonly files: readonly FileFixture[]
}

/** Returns points, ascending in time. */
export function points(
  type: Points['type'],
  rows: readonly (readonly [bigint, Points['values'][number]])[],
): Points {
  return { type, times: rows.map(([time]) => time), values: rows.map(([, value]) => value) }
}

/** Makes the directories of an influxd that is not running. */
export async function writeDirectories(shards: readonly ShardFixture[]): Promise<Directories> {
  const root = await tempDir('directories')
  const dirs = { data: join(root, 'data'), wal: join(root, 'wal'), meta: join(root, 'meta') }
  for (const dir of Object.values(dirs)) await mkdir(dir)
  await writeFile(join(dirs.meta, 'meta.db'), encodeData(metastoreOf(shards)))
  for (const { id, database, retentionPolicy, files } of shards) {
    const dir = join(dirs.data, database, retentionPolicy, String(id))
    await mkdir(dir, { recursive: true })
    for (const [index, file] of files.entries()) await writeTsm(dir, index + 1, file)
  }
  return dirs
}

async function writeTsm(dir: string, number: number, file: FileFixture): Promise<void> {
  const stem = join(dir, `${String(number).padStart(9, '0')}-000000001`)
  const keys = Object.entries(file.points)
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([key, rows]) => [key, [blockOf(rows)]] as const)
  await writeFile(`${stem}.tsm`, await tsmBytes(keys))
  if (file.deleted === undefined) return
  const tombstones = file.deleted.map(({ key, time }) => ({
    key: Buffer.from(key),
    minTime: time,
    maxTime: time,
  }))
  await writeFile(`${stem}.tombstone`, await encodeTombstones(tombstones))
}

function metastoreOf(shards: readonly ShardFixture[]) {
  const databases = [...new Set(shards.map(({ database }) => database))].map((name) => {
    const mine = shards.filter(({ database }) => database === name)
    const policies = [...new Set(mine.map(({ retentionPolicy }) => retentionPolicy))]
    return {
      name,
      defaultRetentionPolicy: policies[0] ?? '',
      retentionPolicies: policies.map((policy) => ({
        name: policy,
        duration: 0n,
        shardGroupDuration: DAY,
        replicaN: 1,
        shardGroups: mine
          .filter(({ retentionPolicy }) => retentionPolicy === policy)
          .map(({ id, day }) => ({
            id,
            startTime: day * DAY,
            endTime: (day + 1n) * DAY,
            deletedAt: 0n,
            shards: [{ id }],
          })),
      })),
    }
  })
  const maxId = shards.reduce((max, { id }) => (id > max ? id : max), 0n)
  return create(DataSchema, {
    ...{ term: 1n, index: 9n, clusterId: 77n, maxNodeId: 0n },
    ...{ maxShardGroupId: maxId, maxShardId: maxId },
    databases,
  })
}

/** Where shards of {@link writeDirectories} are read from: their files, or the wire. */
export async function openDirectories(dirs: Directories, by: 'files' | 'wire' = 'files') {
  const server = await openServer({
    directory: { dataDir: dirs.data, walDir: dirs.wal, metaDir: dirs.meta, env: {} },
    mode: 'read-only',
  })
  const { openShard, ...wire } = server
  return {
    source: new ServerSource(by === 'files' ? { ...wire, ...(openShard && { openShard }) } : wire),
    close: () => server.close(),
  }
}
