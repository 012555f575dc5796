import type { StagedFiles } from '../datadir/index.ts'
import { SnapError } from '../errors.ts'
import { readShardTar, type TarEntryInput } from '../tar/index.ts'
import type { TsmFilter } from '../tsm/rewrite.ts'
import { asDamage } from './check-archive.ts'
import type { ShardName } from './inspect.ts'
import type { RestorableShard } from './restorable.ts'
import { rewriteEntries } from './rewrite-entries.ts'
import { unionEntries } from './union-shard.ts'

/** How large the files of a shard are. */
export interface ContentSize {
  readonly bytes: number
  /** True if tombstones will be applied to them, which makes them smaller. */
  readonly about: boolean
}

/** A file as it was sent, or as it is read back. */
export interface SentFile {
  /** Name inside the shard's directory. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly crc: number
}

/** Tells whether two files are the same. */
export function isEqual(file: SentFile, other: SentFile | undefined): boolean {
  return file.size === other?.size && file.crc === other.crc
}

/** What is restored of one shard. */
export interface ShardContent extends ShardName {
  /** What its files come to, if that is known without reading them. */
  readonly size?: ContentSize | undefined
  /** Its files where they are staged for a data directory; not there if they are yet to be written. */
  readonly staged?: StagedFiles | undefined
  /** Gives the files, named as in the backup, tombstones applied; the same ones each time it is called. */
  entries(signal: AbortSignal): AsyncIterable<TarEntryInput>
}

/** Returns all of a stored shard. A TSM file to be rewritten may be spooled into `tempDir`. */
export function wholeContent(
  shard: RestorableShard,
  tempDir: string,
  size?: ContentSize,
): ShardContent {
  const { database, retentionPolicy, shardId } = shard
  const entries = (signal: AbortSignal) =>
    rewriteEntries(entriesOf(shard, tempDir, signal), { tempDir })
  return { database, retentionPolicy, shardId, size, entries }
}

/** Returns what a filter wants of a content, exact to the point; a file of which it wants nothing is left out. */
export function partOf(content: ShardContent, filter: TsmFilter, tempDir: string): ShardContent {
  const { database, retentionPolicy, shardId } = content
  const entries = (signal: AbortSignal) =>
    rewriteEntries(content.entries(signal), { filter, tempDir })
  return { database, retentionPolicy, shardId, entries }
}

/**
 * Throws if there is nothing in any of the contents; reads no further than to the first file.
 * @throws SnapError `E_NOTHING_MATCHED`
 */
export async function refuseNothing(
  contents: Iterable<ShardContent>,
  place: string,
  signal: AbortSignal,
): Promise<void> {
  for (const content of contents) {
    for await (const _ of content.entries(signal)) return
  }
  throw new SnapError('E_NOTHING_MATCHED', `${place} has no points of this selection`)
}

/**
 * Reads the files of a shard, of files with one name in several parts the newest. Those of a union are merged in `tempDir`.
 * @throws SnapError `E_INTEGRITY` naming the archive that is damaged
 */
export async function* entriesOf(
  shard: RestorableShard,
  tempDir: string,
  signal?: AbortSignal,
): AsyncGenerator<TarEntryInput, void, undefined> {
  if (shard.isUnion) {
    yield* unionEntries(shard, tempDir, signal)
    return
  }
  const seen = new Set<string>()
  for (const part of shard.parts) {
    try {
      for await (const entry of readShardTar(part.open(signal), { name: part.name, signal })) {
        if (seen.has(entry.name)) continue
        seen.add(entry.name)
        yield entry
      }
    } catch (error) {
      throw asDamage(error, shard, part.name)
    }
  }
}
