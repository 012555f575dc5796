import { promisify } from 'node:util'
import { constants, crc32, gunzip, inflateRaw } from 'node:zlib'
import { asSnapError, SnapError } from '../errors.ts'
import { freeMemory } from '../io/free-memory.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { recycling } from '../io/recycled.ts'
import type { ArchiveIndex } from './archive-writer.ts'
import { KeptBlocks } from './kept-blocks.ts'

/** A range of bytes: `start` is in it, `end` is not. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** An archive that can be read from the middle. */
export interface SeekableArchive {
  /** What it is, for messages. */
  readonly name: string
  /** What {@link ArchiveWriter} said of it. */
  readonly index: ArchiveIndex
  /** Reads bytes of the archive. */
  readonly read: (range: Range) => AsyncIterable<Uint8Array>
  /** Bytes of inflated blocks that {@link archiveAccess} keeps, two blocks in any case. Default 4 MiB. */
  readonly keptSize?: number | undefined
}

/** Where a block is, in the tar and in the archive. */
interface BlockPlace {
  readonly tar: Range
  readonly gz: Range
  /** CRC-32 of its bytes in the tar, if it is known. */
  readonly crc: number | undefined
}

interface InflatedBlock {
  readonly tar: Range
  readonly bytes: Uint8Array
}

const inflate = promisify(inflateRaw)
const inflateMember = promisify(gunzip)

/** Blocks inflated at the same time: libuv has as many threads. */
const IN_FLIGHT = 4
/** Bytes of inflated blocks that an {@link archiveAccess} keeps unless it is told otherwise. */
const KEPT_SIZE = 4 * 1024 * 1024
/** No block we write comes near this, in the tar or in the archive. */
const MAX_BLOCK_SIZE = 2 ** 26
/** Empty last block, CRC and size of the member. */
const END_SIZE = 10

/**
 * Reads a part of the tar in an archive with one read of the archive, inflating only the blocks it lies in. The chunks
 * are views over them. The CRC of the archive is not checked: that of each block is, if the index has it, or what is read must
 * have its own, as TSM blocks have.
 * @throws SnapError `E_FORMAT` if the index is not of this archive or the range not in its tar, `E_INTEGRITY` if a block
 * does not inflate to its size or has another CRC, `E_CUT` if the archive ends too early
 */
export async function* readArchiveRange(
  archive: SeekableArchive,
  range: Range,
): AsyncGenerator<Uint8Array, void, undefined> {
  checkRange(archive.name, archive.index.tarSize, range)
  if (range.start === range.end) return
  const first = findBlock(archive, range.start)
  const last = findBlock(archive, range.end - 1)
  for await (const { tar, bytes } of inflateBlocks(archive, first, last)) {
    const from = Math.max(0, range.start - tar.start)
    yield bytes.subarray(from, range.end - tar.start)
  }
}

/**
 * Returns random access to a part of the tar in an archive, such as one TSM file. The blocks used last are
 * kept. As with {@link readArchiveRange}, the CRC of the archive is not checked.
 * @throws SnapError `E_FORMAT` if the range is not in the archive's tar
 */
export function archiveAccess(archive: SeekableArchive, range: Range, name: string): RandomAccess {
  checkRange(archive.name, archive.index.tarSize, range)
  const size = range.end - range.start
  const kept = new KeptBlocks(
    async (number) => (await inflateOne(archive, number)).bytes,
    (number) => sizeOf(placeOf(archive, number).tar),
    archive.keptSize ?? KEPT_SIZE,
  )
  const readInto = async (bytes: Uint8Array, offset: number) => {
    checkRange(name, size, { start: offset, end: offset + bytes.length })
    for (let filled = 0; filled < bytes.length; ) {
      const at = range.start + offset + filled
      const number = findBlock(archive, at)
      const start = at - placeOf(archive, number).tar.start
      await kept.use(number, (block) => {
        const part = block.subarray(start, start + bytes.length - filled)
        bytes.set(part, filled)
        filled += part.length
      })
    }
  }
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, { start: offset, end: offset + length })
      const bytes = Buffer.allocUnsafe(length)
      await readInto(bytes, offset)
      return bytes
    },
    readInto,
    async close() {
      kept.clear()
    },
  }
}

async function inflateOne(archive: SeekableArchive, number: number): Promise<InflatedBlock> {
  const blocks = inflateBlocks(archive, number, number)
  const { value } = await blocks.next()
  await blocks.return()
  if (value === undefined) throw new SnapError('E_CUT', `${archive.name}: no block ${number}`)
  return value
}

async function* inflateBlocks(
  archive: SeekableArchive,
  first: number,
  last: number,
): AsyncGenerator<InflatedBlock, void, undefined> {
  const waiting: Promise<InflatedBlock>[] = []
  try {
    for await (const compressed of readBlocks(archive, first, last)) {
      const block = inflateBlock(archive, compressed)
      // It is awaited in its turn, which may be after it failed.
      block.catch(() => {})
      waiting.push(block)
      if (waiting.length < IN_FLIGHT) continue
      const next = waiting.shift()
      if (next !== undefined) yield await next
    }
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield await next
  } finally {
    await Promise.allSettled(waiting)
  }
}

async function inflateBlock(
  archive: SeekableArchive,
  { place, bytes }: { readonly place: BlockPlace; readonly bytes: Uint8Array },
): Promise<InflatedBlock> {
  const size = sizeOf(place.tar)
  const where = `${archive.name}: block at offset ${place.gz.start}`
  try {
    // It must not give more than the index says. Of what it fills whole it makes another one, to see whether there is more.
    const limits = { chunkSize: Math.max(size + 1, constants.Z_MIN_CHUNK), maxOutputLength: size }
    // A block of a member ends in a flush and not in a last block.
    const inflated = archive.index.members
      ? await inflateMember(bytes, limits)
      : await inflate(bytes, { ...limits, finishFlush: constants.Z_SYNC_FLUSH })
    if (inflated.length !== size) {
      throw new SnapError('E_INTEGRITY', `${where}: ${inflated.length} bytes, expected ${size}`)
    }
    checkCrc(inflated, place.crc, where)
    freeMemory(bytes)
    return { tar: place.tar, bytes: inflated }
  } catch (error) {
    throw asSnapError(error, 'E_INTEGRITY', `${where}: does not inflate to ${size} bytes`)
  }
}

function checkCrc(bytes: Uint8Array, expected: number | undefined, where: string): void {
  const actual = expected === undefined ? undefined : crc32(bytes)
  if (actual === expected) return
  throw new SnapError('E_INTEGRITY', `${where}: its CRC is ${actual}, expected ${expected}`)
}

/** Reads the compressed blocks `first` to `last` and takes them apart, each in memory of its own. */
async function* readBlocks(archive: SeekableArchive, first: number, last: number) {
  const range = { start: placeOf(archive, first).gz.start, end: placeOf(archive, last).gz.end }
  let number = first
  let place = placeOf(archive, first)
  let bytes: Buffer | undefined
  let missing = sizeOf(place.gz)
  for await (const chunk of recycling(archive.read(range))) {
    for (let rest = chunk; rest.length > 0 && number <= last; ) {
      bytes ??= Buffer.allocUnsafeSlow(missing)
      const part = rest.subarray(0, missing)
      bytes.set(part, bytes.length - missing)
      missing -= part.length
      rest = rest.subarray(part.length)
      if (missing > 0) continue
      yield { place, bytes }
      bytes = undefined
      number += 1
      if (number > last) break
      place = placeOf(archive, number)
      missing = sizeOf(place.gz)
    }
  }
  if (number > last) return
  throw new SnapError(
    'E_CUT',
    `${archive.name}: ends ${missing} bytes before the block at ${place.gz.start} does`,
  )
}

/** Returns the number of the block that holds byte `at` of the tar. */
function findBlock({ name, index }: SeekableArchive, at: number): number {
  const { seekPoints } = index
  let low = 0
  let high = seekPoints.length
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((seekPoints[middle]?.[0] ?? 0) <= at) low = middle
    else high = middle
  }
  const { tar } = placeOf({ name, index }, low)
  if (tar.start <= at && at < tar.end) return low
  throw new SnapError('E_FORMAT', `${name}: seek points are not in order at ${at}`)
}

function placeOf({ name, index }: Pick<SeekableArchive, 'name' | 'index'>, number: number) {
  const { seekPoints, blockCrcs, tarSize, gzSize, members } = index
  const point = seekPoints[number]
  if (point !== undefined) {
    const last = [tarSize, members ? gzSize : gzSize - END_SIZE] as const
    const [tarEnd, gzEnd] = seekPoints[number + 1] ?? last
    const place: BlockPlace = {
      tar: { start: point[0], end: tarEnd },
      gz: { start: point[1], end: gzEnd },
      crc: blockCrcs?.[number],
    }
    if (isSane(place.tar) && isSane(place.gz) && tarEnd <= tarSize && gzEnd <= gzSize) return place
  }
  throw new SnapError('E_FORMAT', `${name}: seek point ${number} is not of this archive`)
}

function sizeOf({ start, end }: Range): number {
  return end - start
}

function isSane({ start, end }: Range): boolean {
  return Number.isSafeInteger(start) && start >= 0 && end > start && end - start <= MAX_BLOCK_SIZE
}

function checkRange(name: string, size: number, { start, end }: Range): void {
  if (start >= 0 && start <= end && end <= size) return
  throw new SnapError('E_FORMAT', `${name}: bytes ${start} to ${end} are not in its ${size} bytes`)
}
