import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { create } from '@bufbuild/protobuf'
import type { DataDirectoryPaths, IndexVersion } from '../../src/datadir/index.ts'
import { bytesAccess } from '../../src/io/random-access.ts'
import { emptyData, encodeData } from '../../src/meta/index.ts'
import { DatabaseInfoSchema } from '../../src/meta/meta_pb.gen.ts'
import { packShardTar, readShardTar } from '../../src/tar/index.ts'
import { formatTsmFileName } from '../../src/tsm/file-name.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import type { FloatBlock } from '../../src/tsm/values.ts'
import { TsmWriter } from '../../src/tsm/writer.ts'

/** The separator of series key and field in a composite key. */
const FIELD = '#!~#'

/** Returns a TSM file with one series of floats for each key, a block for each list of times; the values are the times. */
export async function tsmBytes(series: Readonly<Record<string, readonly (readonly number[])[]>>) {
  const chunks: Uint8Array[] = []
  const writer = new TsmWriter(async (chunk) => void chunks.push(chunk))
  for (const name of Object.keys(series).sort()) {
    for (const times of series[name] ?? []) {
      await writer.writeValues(Buffer.from(`${name}${FIELD}value`), floats(times))
    }
  }
  await writer.finish()
  return Buffer.concat(chunks)
}

export function floats(times: readonly number[]): FloatBlock {
  return {
    type: 'float',
    times: BigInt64Array.from(times, BigInt),
    values: Float64Array.from(times),
  }
}

/** Returns `000000007-000000001.tsm` for 7. */
export function tsmName(generation: number, sequence = 1): string {
  return formatTsmFileName({ generation, sequence })
}

/** Makes the two directories of a shard with files in them. */
export async function makeShardFiles(
  dir: string,
  files: {
    readonly data?: Readonly<Record<string, Uint8Array | string>>
    readonly wal?: Readonly<Record<string, Uint8Array | string>>
  },
) {
  const directories = { dataPath: join(dir, 'data/db/rp/1'), walPath: join(dir, 'wal/db/rp/1') }
  await mkdir(directories.dataPath, { recursive: true })
  await mkdir(directories.walPath, { recursive: true })
  for (const [name, bytes] of Object.entries(files.data ?? {})) {
    await writeFile(join(directories.dataPath, name), bytes)
  }
  for (const [name, bytes] of Object.entries(files.wal ?? {})) {
    await writeFile(join(directories.walPath, name), bytes)
  }
  return directories
}

/** The three directories of an influxd below `dir`. */
export function pathsIn(dir: string, indexVersion: IndexVersion = 'inmem'): DataDirectoryPaths {
  return {
    dataDir: join(dir, 'data'),
    walDir: join(dir, 'wal'),
    metaDir: join(dir, 'meta'),
    indexVersion,
  }
}

/** Writes a meta.db that knows the shards `ids` of policy `rp` in database `db`. */
export async function makeMeta(dir: string, ids: readonly bigint[]): Promise<void> {
  const shardGroups = ids.map((id) => ({
    id,
    startTime: 0n,
    endTime: 1000n,
    deletedAt: 0n,
    shards: [{ id }],
  }))
  const policy = { name: 'rp', duration: 0n, shardGroupDuration: 1000n, replicaN: 1, shardGroups }
  const data = emptyData()
  data.databases.push(
    create(DatabaseInfoSchema, {
      name: 'db',
      defaultRetentionPolicy: 'rp',
      retentionPolicies: [policy],
    }),
  )
  data.maxShardId = ids.reduce((a, b) => (a > b ? a : b), 0n)
  await mkdir(join(dir, 'meta'), { recursive: true })
  await writeFile(join(dir, 'meta/meta.db'), encodeData(data))
}

/** Collects what a store writes. */
export async function collect(write: (w: PassThrough) => Promise<void>): Promise<Buffer> {
  const sink = new PassThrough({ highWaterMark: 1024 })
  const chunks: Buffer[] = []
  sink.on('data', (chunk: Buffer) => chunks.push(Buffer.from(chunk)))
  await write(sink)
  sink.end()
  await finished(sink)
  return Buffer.concat(chunks)
}

/** The entries of a shard tar by name. */
export async function entriesOf(tar: Uint8Array): Promise<Map<string, Buffer>> {
  const entries = new Map<string, Buffer>()
  for await (const { name, body } of readShardTar(once(tar))) {
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    entries.set(name, Buffer.concat(chunks))
  }
  return entries
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Packs files into a tar for shard `id` of `db`, `rp`. */
export async function tarOf(
  files: Readonly<Record<string, Uint8Array | string>>,
  id = 1n,
): Promise<Buffer> {
  const entries = Object.entries(files).map(([file, content]) => {
    const bytes = Buffer.from(content)
    const name = `db/rp/${id}/${file}`
    return { name, size: bytes.length, mtime: new Date(0), body: [bytes] }
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of packShardTar(entries)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Returns the last value of a float key in the last file that has it. */
export async function lastValue(files: Iterable<Uint8Array>, key: string): Promise<number> {
  let value = Number.NaN
  for (const bytes of files) {
    const file = await openTsm(bytesAccess(bytes, 'file'))
    const found = await file.find(Buffer.from(key))
    const entry = found?.entries.at(-1)
    if (found === undefined || entry === undefined) continue
    const block = await file.readPoints(found, entry)
    value = block.type === 'float' ? (block.values.at(-1) ?? Number.NaN) : Number.NaN
  }
  return value
}

/** The times of all points in TSM files, as `key time`, sorted. */
export async function pointsOf(files: Iterable<Uint8Array>): Promise<string[]> {
  const points: string[] = []
  for (const bytes of files) {
    const file = await openTsm(bytesAccess(bytes, 'file'))
    for await (const key of file.keys()) {
      const [name] = Buffer.from(key.key).toString().split(FIELD)
      for (const entry of key.entries) {
        const { times } = await file.readPoints(key, entry)
        for (const time of times) points.push(`${name} ${time}`)
      }
    }
  }
  return points.sort()
}
