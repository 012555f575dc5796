import { type RandomAccess, sliceAccess } from '../io/random-access.ts'
import { archiveAccess } from '../portable/archive-range.ts'
import { parseFileName, sidecarName } from '../portable/names.ts'
import { filesByName } from '../portable/set-files.ts'
import { readSidecar } from '../portable/sets.ts'
import { archiveIndex, type Sidecar } from '../portable/sidecar.ts'
import type { ByteRange, Store } from '../storage/index.ts'
import type { Restorable, RestorableShard } from './restorable.ts'
import type { ShardFiles } from './shard-source.ts'

/** Bytes of blocks kept for one archive at the least, for each of its files, which is read at two places at a time, and at the most. */
const MIN_KEPT = 4 * 1024 * 1024
const KEPT_EACH = 3 * 1024 * 1024
const MAX_KEPT = 12 * 1024 * 1024

/**
 * Opens the files of a shard inside its archive, by the seek points of its sidecar: nothing is copied, and only what is
 * read is inflated. Unless the result says that what is read is checked, the hash of the archive must have been.
 * @returns undefined if the backup has no such sidecar: the archive can only be read from its beginning
 * @throws SnapError `E_INTEGRITY` if the sidecar is not what the catalog says
 */
export async function openArchive(
  store: Store,
  backup: Restorable,
  shard: RestorableShard,
  signal: AbortSignal,
): Promise<(ShardFiles & { readonly isChecked: boolean }) | undefined> {
  const sidecar = await sidecarOf(store, backup, shard, signal)
  if (sidecar === undefined) return undefined
  const read = (range: ByteRange) => store.read(sidecar.archive.name, range, signal)
  const files = filesIn(sidecar, read)
  const isChecked = sidecar.blockCrcs?.length === sidecar.seekPoints.length
  return files && { files, isChecked, close: async () => {} }
}

/**
 * Reads what is known of the archive of a shard.
 * @returns undefined if the backup has no such sidecar, or the shard more than one archive
 * @throws SnapError `E_INTEGRITY` if the sidecar is not what the catalog says
 */
export async function sidecarOf(
  store: Store,
  { backup }: Restorable,
  shard: RestorableShard,
  signal: AbortSignal,
): Promise<Sidecar | undefined> {
  const [part, ...older] = shard.parts
  const catalog = 'catalog' in backup ? backup.catalog : undefined
  const parsed = part && parseFileName(part.name)
  if (catalog === undefined || parsed?.kind !== 'archive' || older.length > 0) return undefined
  const name = sidecarName(parsed.set, parsed.shardId)
  if (!filesByName(catalog).has(name)) return undefined
  return await readSidecar(store, catalog, name, signal)
}

/**
 * Opens the files of an archive by its seek points.
 * @param read reads a range of the archive
 * @returns undefined if the sidecar does not say where the files are
 */
export function filesIn(
  sidecar: Pick<Sidecar, 'archive' | 'files' | 'seekPoints' | 'blockCrcs'>,
  read: (range: ByteRange) => AsyncIterable<Uint8Array>,
): Map<string, RandomAccess> | undefined {
  const { archive, files } = sidecar
  const opened = new Map<string, RandomAccess>()
  const whole = archiveAccess(
    {
      name: archive.name,
      index: archiveIndex(sidecar),
      read,
      keptSize: Math.min(MAX_KEPT, Math.max(MIN_KEPT, KEPT_EACH * files.length)),
    },
    { start: 0, end: archive.tarSize },
    archive.name,
  )
  for (const { name, offset, size } of files) {
    if (offset === undefined) return undefined
    opened.set(name, sliceAccess(whole, { offset, size }, `${archive.name}: ${name}`))
  }
  return opened
}
