import pLimit from 'p-limit'
import type { RandomAccess } from '../io/random-access.ts'
import { readAll, type Spool, spoolOfPart } from '../io/spool.ts'
import type { TarEntryInput } from '../tar/writer.ts'
import { openTsm, type TsmFile } from '../tsm/reader.ts'
import { rewriteTsm } from '../tsm/rewrite.ts'
import { readTombstones } from '../tsm/tombstone-set.ts'
import type { TimeRange } from '../tsm/values.ts'
import { packEntries, type ShardTarOptions, tarEntry, walFiles } from './shard-tar.ts'
import type { ShardSnapshot, SnapshotFile } from './snapshot.ts'

/** A TSM file, from the shard or from its WAL. */
interface Source {
  readonly name: string
  readonly mtime: bigint
  readonly access: RandomAccess
  readonly tombstone?: SnapshotFile | undefined
}

async function* sourcesOf(
  snapshot: ShardSnapshot,
  options: ShardTarOptions,
): AsyncGenerator<Source> {
  yield* snapshot.tsm
  for await (const file of walFiles(snapshot, options)) yield { ...file, access: file.source }
}

/** Reads the index up to the first block that is not inside `range`: the first of all, mostly. */
async function isWithin(file: TsmFile, { minTime, maxTime }: TimeRange): Promise<boolean> {
  for await (const { entries } of file.keys()) {
    for (const entry of entries) {
      if (entry.minTime < minTime || entry.maxTime > maxTime) return false
    }
  }
  return true
}

interface Rewrite extends Pick<ShardTarOptions, 'tempDir' | 'signal'> {
  readonly file: TsmFile
  readonly range: TimeRange
}

/**
 * One at a time, of all shards: who asked first begins to take the first file while the next one is made, as both would
 * come at the end if they took turns.
 */
const rewriting = pLimit(1)

/** Writes the wanted points of a file; `undefined` if there are none. The caller closes the spool. */
async function rewrite(
  source: Source,
  { file, range, tempDir, signal }: Rewrite,
): Promise<Spool | undefined> {
  const { tombstone, access } = source
  const tombstones =
    tombstone && (await readTombstones(readAll(tombstone.access), tombstone.access.name))
  const spool = spoolOfPart({ name: access.name, tempDir, size: access.size })
  try {
    const filter = { start: range.minTime, end: range.maxTime, tombstones, tempDir }
    const sink = async (chunk: Uint8Array) => {
      signal.throwIfAborted()
      await spool.consume(chunk)
    }
    const { size } = await rewriteTsm(file, sink, filter)
    if (size > 0) return spool
  } catch (error) {
    await spool.close()
    throw error
  } finally {
    file.release()
  }
  await spool.close()
  return undefined
}

async function* entriesOf(
  sources: AsyncIterable<Source>,
  range: TimeRange,
  options: ShardTarOptions,
): AsyncGenerator<TarEntryInput> {
  const { tempDir, signal } = options
  for await (const source of sources) {
    signal.throwIfAborted()
    const file = await openTsm(source.access)
    if (source.tombstone === undefined && (await isWithin(file, range))) {
      yield tarEntry(options, source)
      continue
    }
    const spool = await rewriting(() => rewrite(source, { file, range, tempDir, signal }))
    if (spool === undefined) continue
    try {
      yield tarEntry(options, { ...source, access: spool.access() })
    } finally {
      await spool.close()
    }
  }
}

/**
 * Packs the points of a snapshot from `range.minTime` to `range.maxTime`, both inclusive, as a tar of TSM files: no point more and
 * none fewer, tombstones applied, the WAL included. A file that is wanted whole goes as it is; of any other the wanted blocks are
 * copied and those at the edges written anew, one file at a time, in memory or in the temporary directory.
 */
export function packExport(
  snapshot: ShardSnapshot,
  range: TimeRange,
  options: ShardTarOptions,
): AsyncIterable<Uint8Array> {
  return packEntries(entriesOf(sourcesOf(snapshot, options), range, options), options)
}
