import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { type Data, decodeData, encodeData, listShards } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import { tombstoneFileName } from '../../src/tsm/file-name.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { pointsOf, tsmBytes, tsmName } from '../datadir/shard-files.ts'
import { writeEntry } from '../wal/encode.ts'
import { tempDir } from './temp.ts'

/** Nanoseconds, and few enough of them to be a plain number. */
export const HOUR = 3_600_000_000_000

/** Times of the points of each series; the values are the times. */
export type Series = Readonly<Record<string, readonly number[]>>

/** A shard of a {@link DirectorySpec} with the hour, counted from 1970, that it is of. */
export interface ShardSpec {
  readonly id: number
  readonly hour: number
  /** In TSM files, one each. */
  readonly files?: readonly Series[]
  /** Deleted from the first of `files`: all points of the series from one time to another. */
  readonly deleted?: { readonly series: string; readonly from: number; readonly to: number }
  /** In the WAL alone. */
  readonly wal?: Series
  /** Marked in the metastore as deleted; nothing is on disk. */
  readonly isDeleted?: boolean
  /** The metastore knows it, the disk does not. */
  readonly isAbsent?: boolean
}

/** A retention policy with its shards. */
export interface PolicySpec {
  /** Nanoseconds; 0, the default, is for ever. */
  readonly duration?: number
  readonly shards: readonly ShardSpec[]
}

/** Databases and policies by name. */
export type DirectorySpec = Readonly<Record<string, Readonly<Record<string, PolicySpec>>>>

/** Everything that a small server may have: several of each, a tombstone, a WAL, an empty database, odd names. */
export const SAMPLE: DirectorySpec = {
  telegraf: {
    autogen: {
      shards: [
        {
          id: 1,
          hour: 0,
          files: [{ 'cpu,host=a': [1, 2, 3], mem: [1, 5] }, { 'cpu,host=a': [4] }],
          deleted: { series: 'cpu,host=a', from: 2, to: 2 },
        },
        {
          id: 2,
          hour: 1,
          files: [{ mem: [HOUR] }],
          wal: { mem: [HOUR + 1], 'cpu,host=b': [HOUR] },
        },
        { id: 9, hour: 2, isDeleted: true },
      ],
    },
    short: { duration: HOUR, shards: [{ id: 3, hour: 0, files: [{ mem: [7] }] }] },
  },
  'two words': { autogen: { shards: [{ id: 10, hour: 0, files: [{ 'm ö': [11, 12] }] }] } },
  empty: { autogen: { shards: [] } },
  _internal: { monitor: { shards: [{ id: 4, hour: 0, files: [{ own: [1] }] }] } },
}

/** A data directory of a test. */
export interface SampleDirectory {
  /** Holds `data`, `wal` and `meta`. */
  readonly root: string
  /** What names it on a command line. */
  readonly flags: readonly string[]
}

/** The directory below `root`, which need not be there. */
export function directoryAt(root: string): SampleDirectory {
  return { root, flags: ['--data-dir', join(root, 'data')] }
}

/** Makes a data directory as an influxd that was stopped leaves it. */
export async function makeDirectory(
  spec: DirectorySpec = SAMPLE,
  clusterId = 4711n,
): Promise<SampleDirectory> {
  const root = await tempDir('influxdb')
  for (const name of ['data', 'wal', 'meta']) await mkdir(join(root, name))
  await writeFile(join(root, 'meta/meta.db'), encodeData(dataOf(spec, clusterId)))
  for (const { path, shard } of shardsOf(spec)) {
    if (shard.isDeleted !== true && shard.isAbsent !== true) await writeShard(root, path, shard)
  }
  return directoryAt(root)
}

/** The metastore of a directory of this make. */
export function dataOf(spec: DirectorySpec, clusterId = 4711n): Data {
  const ids = shardsOf(spec).map(({ shard }) => shard.id)
  const last = BigInt(Math.max(0, ...ids))
  return create(DataSchema, {
    ...{ term: 0n, index: 7n, clusterId, maxNodeId: 0n, maxShardGroupId: last, maxShardId: last },
    users: [{ name: 'root', hash: '$2a$10$secret', admin: true }],
    databases: Object.entries(spec).map(([name, policies]) => ({
      name,
      defaultRetentionPolicy: Object.keys(policies)[0] ?? '',
      retentionPolicies: Object.entries(policies).map(([policy, { duration = 0, shards }]) => ({
        name: policy,
        duration: BigInt(duration),
        shardGroupDuration: BigInt(HOUR),
        replicaN: 1,
        shardGroups: shards.map(groupOf),
      })),
    })),
  })
}

/** Wraps what begins before the first time there is, as influxd does. */
const nanosecondsOf = (hour: number) => BigInt.asIntN(64, BigInt(hour) * BigInt(HOUR))

function groupOf({ id, hour, isDeleted }: ShardSpec) {
  return {
    id: BigInt(id),
    startTime: nanosecondsOf(hour),
    endTime: nanosecondsOf(hour + 1),
    deletedAt: isDeleted === true ? 1n : 0n,
    shards: [{ id: BigInt(id) }],
  }
}

/** The shards of a spec with their paths below the data directory. */
function shardsOf(spec: DirectorySpec): { readonly path: string; readonly shard: ShardSpec }[] {
  return Object.entries(spec).flatMap(([database, policies]) =>
    Object.entries(policies).flatMap(([policy, { shards }]) =>
      shards.map((shard) => ({ path: `${database}/${policy}/${shard.id}`, shard })),
    ),
  )
}

async function writeShard(root: string, path: string, shard: ShardSpec): Promise<void> {
  const [data, wal] = [join(root, 'data', path), join(root, 'wal', path)]
  for (const directory of [data, wal]) await mkdir(directory, { recursive: true })
  for (const [name, bytes] of await shardFiles(shard)) await writeFile(join(data, name), bytes)
  if (shard.wal === undefined) return
  const rows = Object.entries(shard.wal).map(([series, times]) => ({
    type: 'float' as const,
    key: keyOf(series),
    points: times.map((time) => [BigInt(time), time] as const),
  }))
  await writeFile(join(wal, '_00001.wal'), writeEntry(...rows))
}

/** The TSM files of a shard and their tombstones by name. */
export async function shardFiles({
  files = [],
  deleted,
}: ShardSpec): Promise<Map<string, Uint8Array>> {
  const named = new Map<string, Uint8Array>()
  for (const [index, series] of files.entries()) {
    const blocks = Object.entries(series).map(([name, times]) => [name, [times]] as const)
    named.set(tsmName(index + 1), await tsmBytes(Object.fromEntries(blocks)))
  }
  if (deleted === undefined) return named
  const range = { minTime: BigInt(deleted.from), maxTime: BigInt(deleted.to) }
  const tombstone = encodeTombstones([{ key: Buffer.from(keyOf(deleted.series)), ...range }])
  return new Map([[tombstoneFileName(tsmName(1)), tombstone], ...named])
}

function keyOf(series: string): string {
  return `${series}#!~#value`
}

/**
 * The live points of a spec, sorted, one line each: `database/policy series time`. What is deleted, and `_internal`, is
 * left out.
 */
export function pointsIn(spec: DirectorySpec = SAMPLE): string[] {
  return shardsOf(spec)
    .filter(({ path, shard }) => !path.startsWith('_internal/') && shard.isAbsent !== true)
    .flatMap(({ path, shard: { files = [], wal = {}, deleted } }) =>
      [...files, wal].flatMap((series, index) =>
        Object.entries(series).flatMap(([name, times]) =>
          times
            .filter((time) => {
              const { from, to } = deleted ?? { from: 1, to: 0 }
              const hit = index === 0 && deleted?.series === name && time >= from && time <= to
              return !hit
            })
            .map((time) => `${withoutId(path)} ${name} ${time}`),
        ),
      ),
    )
    .sort()
}

function withoutId(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

/** The points in the TSM files on disk, in the form of {@link pointsIn}; tombstones and WAL are expected to be none. */
export async function pointsOnDisk({ root }: SampleDirectory): Promise<string[]> {
  const lines: string[] = []
  const data = join(root, 'data')
  for (const path of await readdir(data, { recursive: true })) {
    if (path.endsWith('.tombstone')) throw new Error(`${path} is there`)
    if (!path.endsWith('.tsm')) continue
    const parts = path.split('/').slice(0, 2).join('/')
    const points = await pointsOf([await readFile(join(data, path))])
    lines.push(...points.map((point) => `${parts} ${point}`))
  }
  return lines.sort()
}

/** The databases of a directory with their live shards: `database/policy/id`. */
export async function metastoreOf(directory: Pick<SampleDirectory, 'root'>): Promise<{
  readonly databases: readonly string[]
  readonly shards: readonly string[]
}> {
  const data = await readMetastore(directory)
  return {
    databases: data.databases.map(({ name }) => name),
    shards: listShards(data).map(
      ({ database, retentionPolicy, shard }) => `${database}/${retentionPolicy}/${shard.id}`,
    ),
  }
}

/** Reads the metastore of a directory. */
export async function readMetastore({ root }: Pick<SampleDirectory, 'root'>): Promise<Data> {
  return decodeData(await readFile(join(root, 'meta/meta.db')))
}

/** Changes the metastore of a directory. */
export async function changeMetastore(
  directory: Pick<SampleDirectory, 'root'>,
  change: (data: Data) => void,
): Promise<void> {
  const data = await readMetastore(directory)
  change(data)
  await writeFile(join(directory.root, 'meta/meta.db'), encodeData(data))
}
