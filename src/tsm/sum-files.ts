import { SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { type AlignedKey, alignKeys, type TsmSource } from './align.ts'
import { FileCrc } from './file-crc.ts'
import { MeasurementSums, type ShardTotals } from './measurement-sums.ts'
import { byFirstTime, findConflict, mergePieces, type Piece, piecesOf } from './merge.ts'
import { type IndexEntry, openTsm, type TsmFile, type TsmKey } from './reader.ts'
import { isWhole } from './rewrite.ts'
import { seriesOf } from './series-key.ts'
import { MAX_TIME, MIN_TIME, rangeOf, type TimeRange } from './values.ts'

/** What was found in a TSM file that was read to its end. */
export interface TsmContents extends TimeRange {
  readonly keys: number
  readonly blocks: number
  /** First and last key in order. */
  readonly minKey: Uint8Array
  readonly maxKey: Uint8Array
  /** True if blocks of one key overlap in time. */
  readonly overlaps: boolean
  /** Blocks whose CRC is right but that do not decode, or have other times than the index says: what, and where. */
  readonly flaws: readonly string[]
}

/** What was found in a TSM file, and its points if they were looked at, as if there were no other file. */
export interface CheckedTsm extends TsmContents {
  readonly totals: ShardTotals | undefined
  /** CRC-32 of the whole file, if it was asked for. */
  readonly crc: number | undefined
}

/** What of a TSM file is wanted beyond its check. */
export interface CheckWish {
  /** Decode every block, and add up its points. */
  readonly points: boolean
  /** Take the CRC-32 of the whole file. Default false. */
  readonly crc?: boolean | undefined
}

/**
 * Reads all of a TSM file: index, and the CRC of every block.
 * @throws SnapError as {@link openTsm}, {@link TsmFile.keys} and {@link TsmFile.readBlock}
 */
export async function checkHere(source: RandomAccess, wish: CheckWish): Promise<CheckedTsm> {
  const sums = wish.points ? new MeasurementSums() : undefined
  const crc = wish.crc ? new FileCrc() : undefined
  const file = await openTsm(source)
  try {
    const contents = await readTsm(file, sums, crc)
    return { ...contents, totals: sums?.totals(), crc: await crc?.finish(file.section) }
  } finally {
    file.release()
  }
}

/** Flaws that are told of one file: one is enough to know. */
const MAX_FLAWS = 100

/**
 * Reads all of a TSM file: index, and the CRC of every block. With `sums`, decodes every block and adds its points, as
 * if there were no other file. With `crc`, notes its blocks there.
 * @throws SnapError as {@link TsmFile.keys} and {@link TsmFile.readBlock}
 */
export async function readTsm(
  file: TsmFile,
  sums?: MeasurementSums,
  crc?: FileCrc,
): Promise<TsmContents> {
  const found = { keys: 0, blocks: 0, minTime: MAX_TIME, maxTime: MIN_TIME }
  const flaws: string[] = []
  let minKey: Uint8Array | undefined
  let maxKey: Uint8Array = new Uint8Array()
  let overlaps = false
  for await (const key of file.keys()) {
    sums?.begin(key.key, key.type)
    minKey ??= key.key
    maxKey = key.key
    found.keys++
    let last: bigint | undefined
    for (const entry of key.entries) {
      const taken = file.takeBlock(key, entry)
      const bytes = taken instanceof Promise ? await taken : taken
      crc?.add(entry, file.blockCrc)
      const flaw = sums && addBlock(sums, file, { key, entry, bytes })
      if (flaw !== undefined && flaws.length < MAX_FLAWS) flaws.push(flaw)
      found.blocks++
      if (entry.minTime < found.minTime) found.minTime = entry.minTime
      if (entry.maxTime > found.maxTime) found.maxTime = entry.maxTime
      if (last !== undefined && entry.minTime <= last) overlaps = true
      if (last === undefined || entry.maxTime > last) last = entry.maxTime
    }
  }
  return { ...found, minKey: minKey ?? maxKey, maxKey, overlaps, flaws }
}

interface ReadBlock {
  readonly key: TsmKey
  readonly entry: IndexEntry
  readonly bytes: Uint8Array
}

/** Adds the points of a block, or says why it has none. */
function addBlock(
  sums: MeasurementSums,
  file: TsmFile,
  { key, entry, bytes }: ReadBlock,
): string | undefined {
  try {
    if (!sums.addEncoded(bytes, entry)) sums.add(file.decodePoints(key, entry, bytes))
    sums.cover(entry)
    return undefined
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'E_FORMAT') throw error
    return error.message
  }
}

/** One file of a shard with what {@link readTsm} found. */
export interface ShardFile extends Pick<TsmContents, 'minKey' | 'maxKey' | 'overlaps'> {
  /** True if it has tombstones. */
  readonly deletes: boolean
}

/** Says whether sums over each file alone are not those of the shard: files share a series, or points are deleted. */
export function needCorrection(files: readonly ShardFile[]): boolean {
  const ordered = files.toSorted((a, b) => Buffer.compare(a.minKey, b.minKey))
  let maxKey: Uint8Array | undefined
  for (const file of ordered) {
    if (file.overlaps || file.deletes) return true
    if (maxKey !== undefined && !isAfter(file.minKey, maxKey)) return true
    maxKey = file.maxKey
  }
  return false
}

function isAfter(key: Uint8Array, before: Uint8Array): boolean {
  return Buffer.compare(key, before) > 0 && Buffer.compare(seriesOf(key), seriesOf(before)) !== 0
}

/**
 * Turns sums over each file alone into those of the shard: reads the indexes of all files again, and of blocks that
 * overlap or are in part deleted takes away what was added and adds what influxd would return.
 * @param sources in the order of their files' names as text
 * @returns what cannot be corrected: a field with two types
 * @throws SnapError as {@link TsmFile.readPoints}
 */
export async function correctSums(
  sources: readonly TsmSource[],
  sums: MeasurementSums,
): Promise<string | undefined> {
  sums.recount()
  let problem: string | undefined
  for await (const aligned of alignKeys(sources)) {
    sums.begin(aligned.key, aligned.type)
    const conflict = findConflict(aligned)
    problem ??= conflict
    if (areApart(aligned)) {
      for (const { key } of aligned.parts) for (const entry of key.entries) sums.cover(entry)
      continue
    }
    for (const cluster of clustersOf(aligned)) {
      if (conflict === undefined && isTouched(cluster)) await correct(cluster, sums)
      else for (const { entry } of cluster) sums.cover(entry)
    }
  }
  return problem
}

/** True of a key whose blocks lie one after the other, file by file, with nothing deleted, as those of most keys do. */
function areApart({ parts }: AlignedKey): boolean {
  let last: bigint | undefined
  for (const { source, key } of parts) {
    if (source.tombstones !== undefined) return false
    for (const { minTime, maxTime } of key.entries) {
      if (last !== undefined && minTime <= last) return false
      last = maxTime
    }
  }
  return true
}

/** Returns the blocks of a key in groups that do not overlap each other, in the order of their times. */
function clustersOf({ parts }: AlignedKey): Piece[][] {
  const all = { minTime: MIN_TIME, maxTime: MAX_TIME }
  const clusters: Piece[][] = []
  let end: bigint | undefined
  for (const piece of parts.flatMap((part) => piecesOf(part, all)).sort(byFirstTime)) {
    const { minTime, maxTime } = piece.entry
    if (end !== undefined && minTime <= end) clusters.at(-1)?.push(piece)
    else clusters.push([piece])
    if (end === undefined || maxTime > end) end = maxTime
  }
  return clusters
}

function isTouched(cluster: readonly Piece[]): boolean {
  return cluster.length > 1 || cluster.some(({ entry, kept }) => !isWhole(entry, kept))
}

async function correct(cluster: readonly Piece[], sums: MeasurementSums): Promise<void> {
  for (const { file, key, entry } of cluster) sums.remove(await file.readPoints(key, entry))
  for await (const block of mergePieces(cluster.filter(({ kept }) => kept.length > 0))) {
    sums.add(block)
    sums.cover(rangeOf(block))
  }
}
