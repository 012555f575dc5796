import { join } from 'node:path'
import { type StagedFiles, type StagePlace, stageInto } from '../datadir/index.ts'
import { errnoOf, SnapError } from '../errors.ts'
import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash, StoredHash } from './check-archive.ts'
import type { ShardName } from './inspect.ts'
import type { ArchivePart } from './restorable.ts'
import { isEqual, type SentFile, wholeContent } from './restore-content.ts'
import { isStoredDamage } from './salvage-image.ts'
import { describedFiles } from './upload-shard.ts'

/** An archive whose hash its catalog has. */
export type HashedPart = ArchivePart & {
  readonly [K in 'stored' | 'tarSize']: NonNullable<ArchivePart[K]>
}

/** How an archive is staged. */
export interface StageArchiveOptions {
  readonly store: Store
  readonly place: StagePlace
  readonly tempDir: string
  /** Told of the bytes of the archive that were read so far. */
  readonly onBytes: (bytes: number) => void
  readonly signal: AbortSignal
}

/**
 * Checks a shard and writes its files in one reading of its archive: they are whole and on the disk when this returns, and the
 * archive had the hash of its catalog.
 * @throws SnapError `E_INTEGRITY` as {@link checkStoredHash} and {@link checkArchive} where the archive is damaged, `E_DESTINATION`
 * where only what was written of it is, and what else is wrong with the place
 */
export async function stageArchive(
  shard: ShardName,
  part: HashedPart,
  { store, place, tempDir, onBytes, signal }: StageArchiveOptions,
): Promise<StagedFiles> {
  const seen = new StoredHash()
  const open = (opened?: AbortSignal) =>
    part.open(opened, async (chunk) => {
      await seen.update(chunk)
      onBytes(seen.size)
    })
  const read = wholeContent({ ...shard, parts: [{ ...part, open }] }, tempDir)
  const sent: SentFile[] = []
  try {
    const bodies = describedFiles(read.entries(signal), shard, { sent })
    const staged = await stageInto(place, bodies, signal)
    await seen.check(part.stored, `${store.url}: ${part.name}`)
    refuseOther(sent, staged)
    return staged
  } catch (error) {
    if (!isStoredDamage(error) || errnoOf(error.cause) === 'EIO') throw error
    // Whatever was met first of the damage, it is told in the same words.
    await checkStoredHash(store, part, { signal })
    await checkArchive(shard, part, { tempDir, signal })
    throw unlikeWritten(`${place.staging}: ${error.message}`)
  }
}

/** What was written must be what is read: a disk, or the memory in which the system keeps files, may be bad. */
function refuseOther(sent: readonly SentFile[], { directory, files }: StagedFiles): void {
  const found = new Map(files.map((file) => [file.name, file]))
  const other = sent.find((file) => !isEqual(file, found.get(file.name)))
  if (other !== undefined) throw unlikeWritten(join(directory, other.name))
}

function unlikeWritten(what: string): SnapError {
  return new SnapError('E_DESTINATION', `${what}: reads back as something else than was written`, {
    hint: 'look at the memory and the disk of this machine',
  })
}
