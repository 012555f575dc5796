import { EXIT_CODES, SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { sortBlock } from '../tsm/arrange.ts'
import { decodeBlock, encodeBlock } from '../tsm/block.ts'
import { type IndexEntry, openTsm, type TsmFile, type TsmKey } from '../tsm/reader.ts'
import { isWhole, keptRanges } from '../tsm/rewrite.ts'
import { measurementOf, seriesOf } from '../tsm/series-key.ts'
import { filterBlock } from '../tsm/time-ranges.ts'
import type { TombstoneSet } from '../tsm/tombstone-set.ts'
import { type Block, MAX_TIME, MIN_TIME, rangeOf, type TimeRange } from '../tsm/values.ts'
import { type Sink, TsmWriter } from '../tsm/writer.ts'

/** What became of a damaged TSM file. */
export interface SalvagedTsm {
  /** Bytes of the new file; 0 if nothing is left. */
  readonly size: number
  readonly kept: number
  /** Blocks that cannot be read. */
  readonly lost: LostBlocks
  /** What is wrong with header, footer or index; undefined if the index was read to its end. */
  readonly broken: string | undefined
}

/** Blocks that are lost. */
export interface LostBlocks {
  readonly blocks: number
  /** First and last time of any; undefined if there are none. */
  readonly range: TimeRange | undefined
  /** Of these measurements, a few of them. */
  readonly measurements: readonly string[]
}

/** Measurements named in a message. */
const NAMED = 10

const EVERYTHING = { minTime: MIN_TIME, maxTime: MAX_TIME }

/**
 * Copies every block of a TSM file whose CRC is right and that decodes; its times are its own. The index has no CRC: it
 * is believed as far as its keys and entries are in order.
 * @param tombstones applied to what is copied
 */
export async function salvageTsm(
  source: RandomAccess,
  sink: Sink,
  tombstones: TombstoneSet | undefined,
): Promise<SalvagedTsm> {
  const writer = new TsmWriter(sink)
  const lost = new Lost()
  let kept = 0
  let broken: string | undefined
  try {
    const file = await openTsm(source)
    for await (const key of file.keys()) {
      const drops = tombstones?.rangesOf(key.key) ?? []
      for (const entry of key.entries) {
        if (await copyBlock(file, { writer, key, entry, drops })) kept++
        else lost.add(key, entry)
      }
    }
  } catch (error) {
    broken = damageIn(error)
  }
  const { size } = await writer.finish()
  return { size, kept, lost, broken }
}

interface BlockCopy {
  readonly writer: TsmWriter
  readonly key: TsmKey
  readonly entry: IndexEntry
  readonly drops: readonly TimeRange[]
}

/** Returns false if the block is damaged. */
async function copyBlock(
  file: TsmFile,
  { writer, key, entry, drops }: BlockCopy,
): Promise<boolean> {
  let bytes: Uint8Array
  let block: Block
  try {
    bytes = await file.readBlock(key, entry)
    block = sortBlock(decodeBlock(bytes))
  } catch (error) {
    damageIn(error)
    return false
  }
  const range = rangeOf(block)
  const ranges = keptRanges(range, EVERYTHING, drops)
  if (isWhole(range, ranges)) {
    await writer.writeBlock(key.key, range, bytes)
    return true
  }
  const rest = filterBlock(block, ranges)
  if (rest !== undefined) await writer.writeBlock(key.key, rangeOf(rest), encodeBlock(rest))
  return true
}

/** Returns what is damaged, or throws what is no damage. */
function damageIn(error: unknown): string {
  if (error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY) return error.message
  throw error
}

class Lost implements LostBlocks {
  readonly #names = new Set<string>()
  blocks = 0
  range: TimeRange | undefined

  get measurements(): readonly string[] {
    return [...this.#names]
  }

  add({ key }: TsmKey, { minTime, maxTime }: TimeRange): void {
    this.blocks++
    const { minTime: first, maxTime: last } = this.range ?? { minTime, maxTime }
    this.range = {
      minTime: minTime < first ? minTime : first,
      maxTime: maxTime > last ? maxTime : last,
    }
    if (this.#names.size < NAMED) this.#names.add(measurementIn(key))
  }
}

function measurementIn(key: Uint8Array): string {
  try {
    return Buffer.from(measurementOf(seriesOf(key))).toString()
  } catch {
    return Buffer.from(key).toString()
  }
}
