import { SnapError } from '../errors.ts'
import { recycle } from '../io/recycled.ts'
import type { Data } from '../meta/index.ts'
import { readArchive } from '../portable/archive-reader.ts'
import type { LegacyBackup, LegacyShard } from '../portable/legacy.ts'
import type { ManifestEntry } from '../portable/manifest.ts'
import type { SetWish } from '../portable/select-set.ts'
import type { BackupSet } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import type { ShardName } from './inspect.ts'
import { shardName } from './plan-shards.ts'
import { type Selection, selectShards } from './selection.ts'

/** One stored tar of a shard. */
export interface ArchivePart {
  /** Its file name in the store. */
  readonly name: string
  /** What its catalog says of the file; undefined for sets of influxd. */
  readonly stored: { readonly size: number; readonly sha256: string } | undefined
  /** Bytes of the tar that the manifest speaks of; undefined in legacy directories. */
  readonly tarSize: number | undefined
  /** Nothing else in it counts: its other files are in newer parts. */
  readonly onlyTombstones?: boolean | undefined
  /**
   * Reads the tar. The end comes only after the archive's own check sums were right. A chunk may change when the next is asked
   * for.
   * @param onStored sees every byte as it is stored
   */
  open(signal?: AbortSignal, onStored?: OnBytes): AsyncIterable<Uint8Array>
}

/** Sees bytes while they pass, which is waited for. */
type OnBytes = (bytes: Uint8Array) => Promise<void>

/** A shard of a backup. */
export interface RestorableShard extends ShardName {
  /** Newest first: of files that several hold under one name, the first counts. Sets have one, but in chains of influxd. */
  readonly parts: readonly ArchivePart[]
  /** The parts are of sets of influxd that hold it only together: their points are merged, newer ones win. */
  readonly isUnion?: boolean | undefined
}

/** A backup of any kind, in the one form that restore, verify and export work on. */
export interface Restorable {
  /** Where it is, for messages. */
  readonly url: string
  /** The set's name; undefined for a legacy directory. */
  readonly set: string | undefined
  readonly kind: 'snap' | 'stock' | 'legacy'
  readonly data: Data
  readonly shards: readonly RestorableShard[]
  /** Listed shards whose archive is not there. */
  readonly missing: readonly (ShardName & { readonly file: string })[]
  /** Files that are not restored, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[]
  readonly backup: BackupSet | LegacyBackup
}

/** Says what of a backup is wanted: all that a selection names, out of one set. */
export function wishOf({
  set,
  selection,
}: {
  readonly set?: SetWish['set']
  readonly selection: Selection
}): SetWish {
  const { databases = [], excludeDatabases: except, retentionPolicy, shards = [] } = selection
  const [only, ...others] = databases
  const [first, ...also] =
    shards.length > 0
      ? shards.map((shardId) => ({ database: others.length > 0 ? undefined : only, shardId }))
      : databases.map((database) => ({ database, except }))
  return {
    ...{ set, retentionPolicy, ...first },
    also: also.map((wanted) => ({ retentionPolicy, ...wanted })),
  }
}

/** Returns a set that was read already. */
export function setRestorable(store: Store, backup: BackupSet): Restorable {
  const { name, kind, meta, entries, missing, catalog } = backup
  const storedOf = new Map(catalog?.files.map((file) => [file.name, file]))
  const shards = entries.map((entry) => ({
    ...shardOf(entry),
    parts: [archivePart(store, entry, storedOf.get(entry.fileName))],
  }))
  return {
    ...{ url: store.url, set: name, kind, data: meta, shards, leftOut: [], backup },
    missing: missing.map((entry) => ({ ...shardOf(entry), file: entry.fileName })),
  }
}

/** Returns an archive that a manifest lists. */
export function archivePart(
  store: Store,
  { fileName: name, size: tarSize }: Pick<ManifestEntry, 'fileName' | 'size'>,
  stored: ArchivePart['stored'],
): ArchivePart {
  const mayBeStored = stored !== undefined && stored.size > tarSize
  const open: ArchivePart['open'] = (signal, onStored) =>
    readArchive(readStored(store, name, { signal, onStored }), name, { mayBeStored })
  return { name, stored, tarSize, open }
}

/** Gives what is stored, in memory that is used again: a chunk is gone when the next is asked for. */
async function* readStored(
  store: Store,
  name: string,
  { signal, onStored }: { signal: AbortSignal | undefined; onStored: OnBytes | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of store.read(name, undefined, signal)) {
    await onStored?.(chunk)
    yield chunk
    recycle(chunk)
  }
}

/** Returns the shard that an entry of a manifest is of. */
export function shardOf({ database, policy, shardId }: ManifestEntry): ShardName {
  return { database, retentionPolicy: policy, shardId }
}

/** Returns a legacy directory that was read already. */
export function legacyRestorable(store: Store, backup: LegacyBackup): Restorable {
  const { meta: data, leftOut } = backup
  const shards = backup.shards.map((shard) => legacyShard(store, shard))
  const { url } = store
  return { url, set: undefined, kind: 'legacy', data, shards, missing: [], leftOut, backup }
}

function legacyShard(
  store: Store,
  { database, retentionPolicy, shardId, increments }: LegacyShard,
): RestorableShard {
  const parts = increments.toReversed().map(({ name }) => ({
    name,
    stored: undefined,
    tarSize: undefined,
    open: (signal?: AbortSignal, onStored?: OnBytes) =>
      readStored(store, name, { signal, onStored }),
  }))
  return { database, retentionPolicy, shardId, parts }
}

/** Why a shard that had not changed is not in a set made with `--since`. */
export const NOT_HELD = 'it had not changed, and no older set here holds it as it was'

/** A shard that should be in a set and is not, or not as it was then. */
export interface LostShard extends ShardName {
  readonly reason: string
}

/** Returns the selected shards that could not be backed up into a set. Sets of influxd do not say. */
export function lostShards({ data, backup }: Restorable, selection: Selection): LostShard[] {
  const catalog = 'catalog' in backup ? backup.catalog : undefined
  const selected = selectShards(data, selection).map(shardName)
  const ids = new Set(selected.map(({ shardId }) => shardId))
  const skipped = (catalog?.skipped ?? [])
    .filter(({ lost, shardId }) => lost && ids.has(shardId))
    .map(({ lost: _, ...shard }) => shard)
  const unheld = new Set('unheld' in backup ? backup.unheld : [])
  const unchanged = selected.filter(({ shardId }) => unheld.has(shardId))
  return [...skipped, ...unchanged.map((shard) => ({ ...shard, reason: NOT_HELD }))]
}

/** Names a backup for messages. */
export function placeOf({ url, set }: Pick<Restorable, 'url' | 'set'>): string {
  return set === undefined ? url : `set ${set} in ${url}`
}

/** Returns the selected shards whose archive is not there. */
export function missingShards(
  { data, missing }: Pick<Restorable, 'data' | 'missing'>,
  selection: Selection,
): Restorable['missing'] {
  const selected = new Set(selectShards(data, selection).map(({ shard }) => shard.id))
  return missing.filter(({ shardId }) => selected.has(shardId))
}

/**
 * Throws unless every archive of the selected shards is there.
 * @throws SnapError `E_INTEGRITY`
 */
export function refuseMissing(backup: Restorable, selection: Selection): void {
  const { url, set } = backup
  const [first, ...more] = missingShards(backup, selection)
  if (first === undefined) return
  const others = more.length > 0 ? ` and ${more.length} more` : ''
  throw new SnapError(
    'E_INTEGRITY',
    `${url}: set ${set}: archive ${first.file} of shard ${first.shardId} is missing${others}`,
  )
}
