import { gzipSync } from 'node:zlib'
import { encodeData } from '../../src/meta/index.ts'
import type { ArchivePart } from '../../src/operations/restorable.ts'
import {
  archiveName,
  encodeManifest,
  encodeMetaFile,
  manifestName,
  metaName,
} from '../../src/portable/index.ts'
import { packShardTar, type TarEntryInput } from '../../src/tar/index.ts'
import { tombstoneFileName } from '../../src/tsm/file-name.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { once, tsmName } from '../datadir/shard-files.ts'
import { dataOf, HOUR } from '../helpers/data-directory.ts'
import type { MemoryStore } from '../helpers/memory-store.ts'
import { tsmBytes } from '../tsm/files.ts'
import { hour } from './prune-sets.ts'

/** A file in an archive of influxd: points make a TSM file, deletions a tombstone beside it. */
export interface StockFile {
  readonly generation: number
  /** Hours after 1 January 2024. */
  readonly written: number
  /** The values of the field `value` by series and time, nanoseconds. */
  readonly points?: Readonly<Record<string, Readonly<Record<number, number>>>>
  readonly deleted?: { readonly series: string; readonly from: number; readonly to: number }
}

/** The names of the one shard that has id `id`, of the hour `id - 1`. */
export const shardNameOf = (shardId: bigint) => ({ database: 'd', retentionPolicy: 'r', shardId })

const FIELD = '#!~#value'

/** Returns a TSM file with times as values. */
export function file(
  generation: number,
  written: number,
  times: readonly number[],
  { series = 'm', value = (time: number) => time } = {},
): StockFile {
  const points = Object.fromEntries(times.map((time) => [time, value(time)]))
  return { generation, written, points: { [series]: points } }
}

async function entriesOf(id: bigint, files: readonly StockFile[]): Promise<TarEntryInput[]> {
  const entries: TarEntryInput[] = []
  for (const { generation, written, points, deleted } of files) {
    const mtime = new Date(Date.UTC(2024, 0, 1, written))
    const put = (name: string, bytes: Uint8Array) =>
      entries.push({ name: `d/r/${id}/${name}`, size: bytes.length, mtime, body: [bytes] })
    if (deleted !== undefined) {
      const range = { minTime: BigInt(deleted.from), maxTime: BigInt(deleted.to) }
      const key = Buffer.from(deleted.series + FIELD)
      put(tombstoneFileName(tsmName(generation)), encodeTombstones([{ key, ...range }]))
    }
    if (points === undefined) continue
    const keys = Object.entries(points).map(([series, values]) => {
      const times = Object.keys(values).map(Number)
      const block = {
        ...{ type: 'float' as const, times: BigInt64Array.from(times, BigInt) },
        values: Float64Array.from(times, (time) => values[time] ?? 0),
      }
      return [series + FIELD, [block]] as const
    })
    put(tsmName(generation), await tsmBytes(keys))
  }
  return entries
}

/** Packs files into the tar of a shard. */
export async function stockTar(files: readonly StockFile[], id = 1n): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of packShardTar(await entriesOf(id, files))) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Returns an archive of shard 1 that no store holds. */
export async function partOf(files: readonly StockFile[], name = 'archive'): Promise<ArchivePart> {
  const tar = await stockTar(files)
  return { name, stored: undefined, tarSize: tar.length, open: () => once(tar) }
}

/** A set of `influxd backup -portable` to be made. */
export interface StockSet {
  /** When, in hours after 1 January 2024. */
  readonly at: number
  /** The files of the shards that it has archives of. */
  readonly shards: Readonly<Record<number, readonly StockFile[]>>
  /** Shards that its metastore knows; default 1 and 2. */
  readonly known?: readonly number[]
}

/** Puts sets of influxd into a store. */
export async function putStockSets(store: MemoryStore, ...sets: readonly StockSet[]) {
  for (const { at, shards, known = [1, 2] } of sets) {
    const set = hour(at)
    const groups = known.map((id) => ({ id, hour: id - 1 }))
    const meta = encodeMetaFile(encodeData(dataOf({ d: { r: { shards: groups } } })))
    store.files.set(metaName(set), meta)
    const files = []
    for (const [id, content] of Object.entries(shards)) {
      const tar = await stockTar(content, BigInt(id))
      const fileName = archiveName(set, BigInt(id))
      store.files.set(fileName, gzipSync(tar))
      files.push({
        ...{ database: 'd', policy: 'r', shardId: BigInt(id), fileName, size: tar.length },
        ...{ lastModified: 0, unknown: {} },
      })
    }
    const manifest = {
      meta: { fileName: metaName(set), size: meta.length, unknown: {} },
      ...{ limited: false, files, unknown: {} },
    }
    store.files.set(manifestName(set), encodeManifest(manifest))
  }
}

/** The first nanosecond of a shard. */
export const startOf = (id: number) => (id - 1) * HOUR
