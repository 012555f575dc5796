import { encodeBlock } from './block.ts'
import { type CutBlock, cutEncoded } from './kernels/cut.ts'
import type { IndexEntry, TsmFile, TsmKey } from './reader.ts'
import { filterBlock, overlap, subtractRanges } from './time-ranges.ts'
import type { TombstoneSet } from './tombstone-set.ts'
import { MAX_TIME, MIN_TIME, rangeOf, type TimeRange } from './values.ts'
import { type Sink, TsmWriter, type TsmWriterOptions, type WrittenTsm } from './writer.ts'

/** Which points are wanted; everything that is not said is. */
export interface TsmFilter {
  /** First and last time, both inclusive, nanoseconds since the epoch. */
  readonly start?: bigint | undefined
  readonly end?: bigint | undefined
  /** Says whether a composite key is wanted; asked once for each. */
  readonly keepKey?: ((key: Uint8Array) => boolean) | undefined
}

/** Which points of one file are wanted, and how the other is written. */
export interface RewriteFilter extends TsmFilter, Pick<TsmWriterOptions, 'tempDir'> {
  /** The file's own tombstones. */
  readonly tombstones?: TombstoneSet | undefined
}

/** What became of a file: its size is 0 if nothing was wanted. */
export interface Rewritten extends WrittenTsm {
  /** Blocks that went over byte for byte. */
  readonly copied: number
  /** Blocks of which a part was wanted. */
  readonly encoded: number
  /** Blocks of which nothing was wanted. */
  readonly dropped: number
}

/**
 * Writes exactly the wanted points of a file as a new file. A block that is wanted whole goes over as it is, its CRC
 * checked; one that is wanted in part is decoded and encoded again. Nothing is ever split or joined, so a file within
 * influxd's limits stays within them.
 * @throws SnapError as {@link TsmFile.readPoints}
 */
export async function rewriteTsm(
  file: TsmFile,
  sink: Sink,
  filter: RewriteFilter,
): Promise<Rewritten> {
  const writer = new TsmWriter(sink, filter)
  try {
    return await rewriteBlocks(file, writer, filter)
  } finally {
    await writer.close()
  }
}

async function rewriteBlocks(
  file: TsmFile,
  writer: TsmWriter,
  filter: RewriteFilter,
): Promise<Rewritten> {
  const counts = { copied: 0, encoded: 0, dropped: 0 }
  const range = timeRange(filter)
  for await (const key of file.keys()) {
    const wanted = filter.keepKey?.(key.key) ?? true
    const drops = filter.tombstones?.rangesOf(key.key) ?? []
    for (const entry of key.entries) {
      const kept = wanted ? keptRanges(entry, range, drops) : []
      if (kept.length === 0) {
        counts.dropped++
        continue
      }
      const taken = file.takeBlock(key, entry)
      const bytes = taken instanceof Promise ? await taken : taken
      counts[rewriteBlock({ file, writer, key, entry, kept }, bytes)]++
      if (writer.mustFlush) await writer.flush()
    }
  }
  return { ...counts, ...(await writer.finish()) }
}

/** Returns the times that a filter wants. */
export function timeRange({ start, end }: TsmFilter): TimeRange {
  return { minTime: start ?? MIN_TIME, maxTime: end ?? MAX_TIME }
}

/** Returns the times between an entry's first and last that are inside `range` and in none of `drops`, in order. */
export function keptRanges(
  entry: TimeRange,
  range: TimeRange,
  drops: readonly TimeRange[],
): TimeRange[] {
  if (!overlap(entry, range)) return []
  const minTime = entry.minTime > range.minTime ? entry.minTime : range.minTime
  const maxTime = entry.maxTime < range.maxTime ? entry.maxTime : range.maxTime
  return subtractRanges({ minTime, maxTime }, drops)
}

/** Says whether the times kept of an entry are all of them. */
export function isWhole(entry: TimeRange, kept: readonly TimeRange[]): boolean {
  return kept[0]?.minTime === entry.minTime && kept[0].maxTime === entry.maxTime
}

interface BlockRewrite {
  readonly file: TsmFile
  readonly writer: TsmWriter
  readonly key: TsmKey
  readonly entry: IndexEntry
  readonly kept: readonly TimeRange[]
}

function rewriteBlock(rewrite: BlockRewrite, bytes: Uint8Array): 'copied' | 'encoded' | 'dropped' {
  const { writer, key, entry, kept } = rewrite
  if (isWhole(entry, kept)) {
    writer.addBlock(key.key, entry, bytes)
    return 'copied'
  }
  const cut = cutBlock(rewrite, bytes)
  if (cut === undefined) return 'dropped'
  writer.addBlock(key.key, cut, cut.bytes)
  return 'encoded'
}

/** Returns what is kept of a block, right until the next one is read or cut. */
function cutBlock({ file, key, entry, kept }: BlockRewrite, bytes: Uint8Array): CutBlock {
  const [range] = kept
  const cut = range !== undefined && kept.length === 1 && cutEncoded(bytes, entry, range)
  if (cut !== false) return cut
  const block = filterBlock(file.decodePoints(key, entry, bytes), kept)
  return block && { ...rangeOf(block), bytes: encodeBlock(block) }
}
