import { EXIT_CODES, errnoOf, SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { Spool } from '../io/spool.ts'
import { archiveAccess } from '../portable/archive-range.ts'
import { readDamagedArchive } from '../portable/damaged-archive.ts'
import { archiveIndex, type Sidecar } from '../portable/sidecar.ts'
import type { Store } from '../storage/index.ts'
import { BLOCK_SIZE, decodeHeader, isZero, paddingOf } from '../tar/header.ts'
import { parseEntryName } from '../tar/names.ts'
import { describeShard, type ShardName } from './inspect.ts'
import type { ArchivePart } from './restorable.ts'

/** A file in a damaged tar. */
export interface ImageFile {
  /** Name inside the shard's directory. */
  readonly name: string
  /** Bytes of the tar before it. */
  readonly offset: number
  readonly size: number
}

/** The tar of a damaged archive, as far as it can be read. */
export interface TarImage {
  /** Zeros stand where nothing could be read. */
  readonly tar: RandomAccess
  readonly files: readonly ImageFile[]
  /** What is not in the image, or may not be: files whose names are not known. */
  readonly gaps: readonly string[]
}

/** Where a damaged archive is, and what is known of it. */
export interface ImageOptions {
  readonly store: Store
  readonly shard: ShardName
  /** Says where the files are in the tar, and the blocks in the archive; undefined if it is not there or damaged too. */
  readonly sidecar: Sidecar | undefined
  readonly tempDir: string
  readonly signal: AbortSignal
}

/**
 * Opens what is left of a damaged archive. With a sidecar every block of the archive that inflates is read, and every
 * file found; without one, what comes before the damage, and the files whose headers are right. Closing `tar` releases it.
 * @throws SnapError `E_DESTINATION` if the temporary directory is full; what the store throws that is no damage
 */
export async function openImage(part: ArchivePart, options: ImageOptions): Promise<TarImage> {
  const { sidecar } = options
  const files = sidecar && filesOf(sidecar)
  if (sidecar !== undefined && files !== undefined) {
    return { tar: tolerantAccess(sidecar, options), files, gaps: [] }
  }
  const tar = await spoolStart(part, options)
  try {
    const { found, gaps } = await findFiles(tar, options.shard)
    if (tar.size < (part.tarSize ?? 0))
      gaps.push(`${tar.size} of ${part.tarSize} bytes of its tar can be read`)
    return { tar, files: found, gaps }
  } catch (error) {
    await tar.close()
    throw error
  }
}

function filesOf({ files, archive }: Sidecar): ImageFile[] | undefined {
  const placed: ImageFile[] = []
  for (const { name, offset, size } of files) {
    if (offset === undefined || offset + size > archive.tarSize) return undefined
    placed.push({ name, offset, size })
  }
  return placed
}

/** True for damage of what is stored, down to a sector that its disk cannot read. */
export function isStoredDamage(error: unknown): error is SnapError {
  if (!(error instanceof SnapError)) return false
  const isStored = error.exitCode === EXIT_CODES.E_INTEGRITY || error.code === 'E_CUT'
  return isStored || errnoOf(error.cause) === 'EIO'
}

/** Reads a tar through the blocks of its archive; those that do not inflate read as zeros. */
function tolerantAccess(sidecar: Sidecar, options: ImageOptions): RandomAccess {
  const { archive, seekPoints } = sidecar
  const { store, signal } = options
  const { name, tarSize } = archive
  const read = (range: { start: number; end: number }) => store.read(name, range, signal)
  // Of a block whose CRC is wrong all is still there but a few bytes, and those of TSM blocks show by their own.
  const index = { ...archiveIndex(sidecar), blockCrcs: undefined }
  const whole = archiveAccess({ name, index, read }, { start: 0, end: tarSize }, name)
  const starts = seekPoints.map(([tar]) => tar)
  const readOrZeros = async (offset: number, length: number): Promise<Uint8Array> => {
    try {
      return await whole.read(offset, length)
    } catch (error) {
      if (!isStoredDamage(error)) throw error
      const cut = starts.find((start) => start > offset && start < offset + length)
      if (cut === undefined) return new Uint8Array(length)
      const first = await readOrZeros(offset, cut - offset)
      return Buffer.concat([first, await readOrZeros(cut, offset + length - cut)])
    }
  }
  return { name, size: tarSize, read: readOrZeros, close: whole.close }
}

/** Keeps the tar up to where it can be read. */
async function spoolStart(
  { name, tarSize }: ArchivePart,
  { store, tempDir, signal }: ImageOptions,
): Promise<RandomAccess> {
  const kept = new Spool({ name, tempDir })
  const stored = readToDamage(store.read(name, undefined, signal))
  // Those of legacy directories, of which nothing is said, are not compressed.
  const tar = tarSize === undefined ? stored : readDamagedArchive(stored)
  try {
    for await (const chunk of tar) await kept.write(chunk)
    return kept.access()
  } catch (error) {
    await kept.close()
    throw error
  }
}

/** Ends where a file cannot be read. */
async function* readToDamage(
  file: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* file
  } catch (error) {
    if (!isStoredDamage(error)) throw error
  }
}

const USTAR_OFFSET = 257

/** Goes from header to header, and after a damaged one looks for the next that is right. */
async function findFiles(tar: RandomAccess, shard: ShardName) {
  const found: ImageFile[] = []
  const gaps: string[] = []
  let isLost = false
  for (let at = 0; at + BLOCK_SIZE <= tar.size; ) {
    const first = await tar.read(at, BLOCK_SIZE)
    const header = await headerAt(tar, at, first, shard)
    if (header !== undefined) {
      if (header.file !== undefined) found.push(header.file)
      at = header.next
      isLost = false
      continue
    }
    if (!isLost && !isZero(first)) {
      gaps.push(`a header at offset ${at} of its tar is damaged: the file behind it is lost`)
      isLost = true
    }
    at += BLOCK_SIZE
  }
  return { found, gaps }
}

async function headerAt(
  tar: RandomAccess,
  at: number,
  first: Uint8Array,
  shard: ShardName,
): Promise<{ readonly file: ImageFile | undefined; readonly next: number } | undefined> {
  if (Buffer.from(first).toString('latin1', USTAR_OFFSET, USTAR_OFFSET + 5) !== 'ustar')
    return undefined
  let end = at + BLOCK_SIZE
  const next = async () => {
    if (end + BLOCK_SIZE > tar.size) throw new SnapError('E_CUT', `${tar.name}: cut in a header`)
    end += BLOCK_SIZE
    return await tar.read(end - BLOCK_SIZE, BLOCK_SIZE)
  }
  try {
    const { name, type, size } = await decodeHeader(first, tar.name, next)
    if (type === 'directory') return { file: undefined, next: end }
    const { file, ...path } = parseEntryName(name)
    if (describeShard(path) !== describeShard(shard)) return undefined
    const there = Math.min(size, tar.size - end)
    return { file: { name: file, offset: end, size: there }, next: end + size + paddingOf(size) }
  } catch (error) {
    if (!isStoredDamage(error)) throw error
    return undefined
  }
}
