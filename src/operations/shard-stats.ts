import type { HttpClient, QueryRow } from '../client/index.ts'
import type { InspectedFile } from './inspect.ts'

/** What an influxd counts of one of its shards. */
export interface ShardStats {
  readonly files: number
  /** Bytes of its TSM files; of tombstones too once the shard was opened with them. */
  readonly diskBytes: number
  /** Bytes of points in the cache and the WAL, that are in no TSM file yet. */
  readonly unflushed: number
}

const QUERY = ['tsm1_filestore', 'tsm1_cache', 'tsm1_wal']
  .map((module) => `SHOW STATS FOR '${module}'`)
  .join('; ')

/** Asks influxd for the figures of all its shards at once, by shard id. */
export async function readShardStats(
  http: HttpClient,
  signal: AbortSignal,
): Promise<ReadonlyMap<bigint, ShardStats>> {
  const found = new Map<bigint, ShardStats>()
  for (const row of await http.query(QUERY, { signal })) {
    const id = row.tags['id']
    if (id === undefined || !/^\d{1,20}$/.test(id)) continue
    const stats = found.get(BigInt(id)) ?? { files: 0, diskBytes: 0, unflushed: 0 }
    found.set(BigInt(id), withRow(stats, row))
  }
  return found
}

function withRow(stats: ShardStats, { name, values }: QueryRow): ShardStats {
  const number = (column: string) => Number(values[column] ?? 0)
  switch (name) {
    case 'tsm1_filestore':
      return { ...stats, files: number('numFiles'), diskBytes: number('diskBytes') }
    case 'tsm1_cache':
      return { ...stats, unflushed: stats.unflushed + number('memBytes') }
    case 'tsm1_wal': {
      const bytes = number('currentSegmentDiskBytes') + number('oldSegmentsDiskBytes')
      return { ...stats, unflushed: stats.unflushed + bytes }
    }
    default:
      return stats
  }
}

/** The files of a shard in numbers. */
export interface FileTotals {
  readonly tsmFiles: number
  /** Bytes of the TSM files, and of their tombstones. */
  readonly tsmBytes: number
  readonly tombstoneBytes: number
}

/** Adds up the files of a shard. */
export function totalsOf(files: readonly Pick<InspectedFile, 'kind' | 'size'>[]): FileTotals {
  const bytesOf = (kind: InspectedFile['kind']) =>
    files.filter((file) => file.kind === kind).reduce((sum, { size }) => sum + size, 0)
  return {
    tsmFiles: files.filter(({ kind }) => kind === 'tsm').length,
    tsmBytes: bytesOf('tsm'),
    tombstoneBytes: bytesOf('tombstone'),
  }
}

/** Tells in what the files of a fetched shard differ from what its server counts; undefined if in nothing. */
export function differenceFrom(
  stats: ShardStats | undefined,
  { tsmFiles, tsmBytes, tombstoneBytes }: FileTotals,
): string | undefined {
  if (stats === undefined) return 'the server has no figures of the shard'
  if (stats.unflushed > 0) return `${stats.unflushed} bytes of points were not flushed`
  if (stats.files !== tsmFiles) return `${tsmFiles} files came, the server counts ${stats.files}`
  if ([tsmBytes, tsmBytes + tombstoneBytes].includes(stats.diskBytes)) return undefined
  return `${tsmBytes} bytes of TSM came, the server counts ${stats.diskBytes}`
}
