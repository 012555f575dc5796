import type { ArchiveSummary, WriteArchiveOptions } from '../portable/archive-writer.ts'
import type { Catalog, CatalogShard } from '../portable/catalog.ts'
import type { ManifestEntry } from '../portable/manifest.ts'
import { openedName } from '../portable/names.ts'
import type { Staged } from '../storage/index.ts'
import type { InspectedFile, ShardName } from './inspect.ts'
import type { ShardData, ShardSums } from './shard-sums.ts'

/** How archives are written. */
export type Compression = 'gzip' | 'none'

/** The tar of a shard whose archive is to be written. */
export interface ShardToStage extends Pick<WriteArchiveOptions, 'expected'> {
  readonly shard: ShardName
  readonly tar: AsyncIterable<Uint8Array>
  readonly compression: Compression
}

/** What was seen in the tar of a shard. */
export interface SeenShard {
  readonly files: readonly InspectedFile[]
  /** Its points, if they were looked at. */
  readonly sums?: ShardSums | undefined
}

/** A shard's archive, whole and safe in the store, without its final name yet. */
export interface StagedArchive {
  readonly shard: ShardName
  readonly archive: ArchiveSummary
  readonly files: readonly InspectedFile[]
  readonly data: ShardData | undefined
}

/** What a catalog says besides what the writer knows itself. */
export type CatalogFacts = Omit<
  Catalog,
  'set' | 'created' | 'durationMs' | 'files' | 'parent' | 'shards' | 'encryption'
> & {
  readonly shards: readonly ShardFacts[]
}

/** What a catalog says of a shard besides that. */
export type ShardFacts = Omit<CatalogShard, 'archive' | 'tarSize'>

/** What the manifest says of a shard; `size` is that of its tar in bytes. */
export function manifestEntry(shard: ShardName, fileName: string, size: number): ManifestEntry {
  const { database, retentionPolicy: policy, shardId } = shard
  return { database, policy, shardId, fileName, size, lastModified: 0, unknown: {} }
}

/** Returns what a catalog says of shards: of those that have an archive. */
export function catalogShards(
  facts: readonly ShardFacts[],
  manifest: readonly ManifestEntry[],
): CatalogShard[] {
  const entries = new Map(manifest.map((entry) => [entry.shardId, entry]))
  return facts.flatMap((shard) => {
    const entry = entries.get(shard.shardId)
    return entry ? [{ ...shard, archive: entry.fileName, tarSize: entry.size }] : []
  })
}

/** Orders staged files so that the one of this name, plain or encrypted, is published last. */
export function lastOfAll(staged: readonly Staged[], name: string): Staged[] {
  const isLast = (file: Staged) => openedName(file.name) === name
  return [...staged.filter((file) => !isLast(file)), ...staged.filter(isLast)]
}
