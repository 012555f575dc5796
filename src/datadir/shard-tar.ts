import { readLarge, readRecycled } from '../io/spool.ts'
import { formatEntryName } from '../tar/names.ts'
import { addStatement, type StatementOptions } from '../tar/statement.ts'
import { packShardTar, type TarEntryInput } from '../tar/writer.ts'
import { parseTsmFileName } from '../tsm/file-name.ts'
import type { SpooledTsm } from '../tsm/spooled-set.ts'
import { type WalReport, walToTsm } from '../wal/to-tsm.ts'
import type { ShardLocation } from './layout.ts'
import type { ShardSnapshot, SnapshotFile } from './snapshot.ts'

/** How a snapshot becomes a tar. */
export interface ShardTarOptions {
  readonly location: ShardLocation
  /** Gets what the WAL becomes while it is sent; under no name. */
  readonly tempDir: string
  /** Told once, if the shard has a WAL, before its points are sent. */
  readonly onWal: (report: WalReport) => void
  /** Ends the tar with the statement that it is complete. */
  readonly statement?: Omit<StatementOptions, 'shard'> | undefined
  /** The tar stays in this process, which would but hold more memory with larger chunks. Default false. */
  readonly sendsWithin?: boolean | undefined
  readonly signal: AbortSignal
}

/** Packs entries, with the statement at their end if one is asked for. */
export function packEntries(
  entries: AsyncIterable<TarEntryInput>,
  { location, statement }: Pick<ShardTarOptions, 'location' | 'statement'>,
): AsyncIterable<Uint8Array> {
  if (statement === undefined) return packShardTar(entries)
  return packShardTar(addStatement(entries, { shard: location, ...statement }))
}

/** A TSM file that the WAL became. */
export interface WalFile extends SpooledTsm {
  /** Nanoseconds since the epoch: that of the last write. */
  readonly mtime: bigint
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** Returns a tar entry for a file of the shard. */
export function tarEntry(
  { location, sendsWithin }: Pick<ShardTarOptions, 'location' | 'sendsWithin'>,
  file: Pick<SnapshotFile, 'name' | 'mtime' | 'access'>,
): TarEntryInput {
  return {
    name: formatEntryName({ ...location, file: file.name }),
    size: file.access.size,
    mtime: new Date(Number(file.mtime / NANOSECONDS_PER_MILLISECOND)),
    body: sendsWithin ? readRecycled(file.access) : readLarge(file.access),
  }
}

/**
 * Turns the WAL of a snapshot into TSM files of the generation that comes after all that are there: what is in the WAL is newer
 * than any TSM file. The caller closes them.
 */
export async function openWalFiles(
  { tsm, wal }: ShardSnapshot,
  { tempDir, onWal, signal }: Omit<ShardTarOptions, 'location'>,
): Promise<readonly WalFile[]> {
  if (wal.length === 0) return []
  const generations = tsm.map(({ name }) => parseTsmFileName(name)?.generation ?? 0)
  const generation = Math.max(0, ...generations) + 1
  const segments = wal.map(({ access }) => access)
  const { files, report } = await walToTsm(segments, { generation, tempDir, signal })
  onWal(report)
  const mtime = newest(wal)
  return files.map((file) => ({ ...file, mtime }))
}

/** Yields what {@link openWalFiles} gives, and closes it in the end. */
export async function* walFiles(
  snapshot: ShardSnapshot,
  options: ShardTarOptions,
): AsyncGenerator<WalFile> {
  const files = await openWalFiles(snapshot, options)
  try {
    yield* files
  } finally {
    for (const { source } of files) await source.close()
  }
}

function newest(files: readonly SnapshotFile[]): bigint {
  return files.map(({ mtime }) => mtime).reduce((a, b) => (a > b ? a : b))
}

async function* entriesSince(
  snapshot: ShardSnapshot,
  since: bigint,
  options: ShardTarOptions,
): AsyncGenerator<TarEntryInput> {
  const files = snapshot.tsm.flatMap((file) =>
    file.tombstone === undefined ? [file] : [file.tombstone, file],
  )
  for (const file of files) {
    if (file.mtime > since) yield tarEntry(options, file)
  }
  // Of a WAL there is only the whole: a part of it beside newer TSM files would bring old values back.
  if (!snapshot.wal.some(({ mtime }) => mtime > since)) return
  for await (const file of walFiles(snapshot, options)) {
    yield tarEntry(options, { ...file, access: file.source })
  }
}

/**
 * Packs a snapshot as influxd packs a shard: TSM files and their tombstones in the order of their names, then what the WAL holds
 * as further TSM files, as if its cache had been flushed. Only files changed after `since` are in it, strictly and to the
 * nanosecond; nothing changed gives the bare trailer.
 * @param since nanoseconds since the epoch; anything before all files gives all of them
 */
export function packSnapshot(
  snapshot: ShardSnapshot,
  since: bigint,
  options: ShardTarOptions,
): AsyncIterable<Uint8Array> {
  return packEntries(entriesSince(snapshot, since, options), options)
}
