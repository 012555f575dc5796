import type { RandomAccess } from '../io/random-access.ts'
import { Spool } from '../io/spool.ts'
import { concatBlocks } from '../tsm/arrange.ts'
import { MAX_POINTS_PER_BLOCK } from '../tsm/format.ts'
import { type TsmSetFile, TsmSetWriter } from '../tsm/set-writer.ts'
import { type Block, sliceBlock } from '../tsm/values.ts'
import { mergeKey, mergeRuns } from './merge.ts'
import { memoryRun, RunFile } from './run-file.ts'
import { readSegment, type WalDamage } from './segment.ts'
import { type OnConflict, WriteTable } from './table.ts'

/** Memory for points before they are sorted and put into a file, bytes. */
export const WAL_MEMORY = 64 * 1024 * 1024

/** Points are encoded this many at a time, or this many bytes of strings. */
const BATCH_POINTS = 8 * MAX_POINTS_PER_BLOCK
const BATCH_BYTES = 4 * 1024 * 1024

export interface WalToTsmOptions {
  /** Of the files made: one more than the highest in the shard's directory. */
  readonly generation: number
  /** Gets temporary files, which have no name and so leave nothing behind. */
  readonly tempDir: string
  /** Bytes, default {@link WAL_MEMORY}; only the largest single entry can add to it. */
  readonly memoryBudget?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A TSM file made from a WAL. */
export interface WalTsmFile extends TsmSetFile {
  /** Its bytes; the caller closes it. */
  readonly source: RandomAccess
}

/** Damage, and where it was. */
export interface WalLoss extends WalDamage {
  /** The segment's name. */
  readonly segment: string
}

/** What became of a WAL. */
export interface WalReport {
  /** Entries read, writes and deletes. */
  readonly entries: number
  /** Points in the files. */
  readonly points: number
  /** Writes that were cut off and so never acknowledged: nothing to tell anyone. */
  readonly torn: readonly WalLoss[]
  /** Bytes that held, or may have held, acknowledged entries. */
  readonly lost: readonly WalLoss[]
  /** Points given up because newer ones of their key have another type, and the first key it happened to. */
  readonly conflicts: { readonly points: number; readonly key: string | undefined }
}

export interface WalToTsm {
  /** None if the WAL holds no points. */
  readonly files: readonly WalTsmFile[]
  readonly report: WalReport
}

/**
 * Turns the segments of one shard's WAL, in the order of {@link segmentNames}, into the TSM files that influxd would
 * write if it loaded the WAL and flushed it. Deletes apply to what came before them in the WAL; the TSM files of the
 * shard were given their tombstones by influxd before it wrote the delete.
 *
 * @throws SnapError `E_DESTINATION` if the temporary directory is full; what reading a segment throws; the signal's reason
 */
export async function walToTsm(
  segments: readonly RandomAccess[],
  options: WalToTsmOptions,
): Promise<WalToTsm> {
  const runFile = new RunFile(options.tempDir)
  const output = new Output(options)
  const conflicts = { points: 0, key: undefined as string | undefined }
  const onConflict: OnConflict = (key, points) => {
    conflicts.points += points
    conflicts.key ??= Buffer.from(key).toString()
  }
  try {
    const table = new WriteTable(onConflict)
    const read = await load(segments, { table, runFile, options })
    const runs = [...runFile.runs(), memoryRun(table.take())]
    for await (const merged of mergeRuns(runs)) {
      options.signal?.throwIfAborted()
      await output.writeKey(merged.key, mergeKey(merged, onConflict))
    }
    const files = await output.finish()
    return { files, report: { ...read, points: output.points, conflicts } }
  } catch (error) {
    await output.close()
    throw error
  } finally {
    await runFile.close()
  }
}

interface Loading {
  readonly table: WriteTable
  readonly runFile: RunFile
  readonly options: WalToTsmOptions
}

/** Reads all segments into the table, which goes to the run file whenever it is full. */
async function load(segments: readonly RandomAccess[], { table, runFile, options }: Loading) {
  const { memoryBudget = WAL_MEMORY, signal } = options
  const torn: WalLoss[] = []
  const lost: WalLoss[] = []
  let entries = 0
  for (const segment of segments) {
    for await (const item of readSegment(segment)) {
      signal?.throwIfAborted()
      if (item.kind === 'write') table.addWrite(item)
      else if (item.kind === 'delete') table.addDelete(item, runFile.count > 0)
      else (isLoss(item, segment === segments.at(-1)) ? lost : torn).push(named(item, segment))
      if (item.kind === 'write' || item.kind === 'delete') entries += 1
      // The other half is for one key's points in order and for what is being encoded.
      if (table.bytes > memoryBudget / 2) await runFile.write(table.take())
    }
  }
  return { entries, torn, lost }
}

/** Only the last segment was being written when it ended: a cut in an earlier one is no interrupted write. */
function isLoss({ kind }: WalDamage, last: boolean): boolean {
  return kind === 'corrupt' || (kind === 'torn' && !last)
}

function named(damage: WalDamage, { name }: RandomAccess): WalLoss {
  return { segment: name, ...damage }
}

/** The files being written, each in a spool. */
class Output {
  readonly #spools: Spool[] = []
  readonly #writer: TsmSetWriter
  points = 0

  constructor({ generation, tempDir }: WalToTsmOptions) {
    const open = async (name: string) => {
      const spool = new Spool({ name, tempDir })
      this.#spools.push(spool)
      return { write: (chunk: Uint8Array) => spool.write(chunk), close: async () => {} }
    }
    this.#writer = new TsmSetWriter({ generation, sequence: 1, open })
  }

  /** Writes the points of one key in full blocks, however they are cut. */
  async writeKey(key: Uint8Array, blocks: AsyncIterable<Block>): Promise<void> {
    let pending: Block[] = []
    let [points, bytes] = [0, 0]
    for await (const block of blocks) {
      pending.push(block)
      points += block.times.length
      bytes += block.type === 'string' ? stringBytes(block.values.offsets) : 0
      if (points < (bytes < BATCH_BYTES ? BATCH_POINTS : MAX_POINTS_PER_BLOCK)) continue
      const joined = concatBlocks(pending)
      const whole = points - (points % MAX_POINTS_PER_BLOCK)
      await this.#write(key, sliceBlock(joined, 0, whole))
      pending = [sliceBlock(joined, whole, points)]
      points -= whole
      bytes = 0
    }
    if (points > 0) await this.#write(key, concatBlocks(pending))
  }

  async #write(key: Uint8Array, block: Block): Promise<void> {
    await this.#writer.writeValues(key, block)
    this.points += block.times.length
  }

  async finish(): Promise<WalTsmFile[]> {
    const files = await this.#writer.finish()
    return files.flatMap((file, index) => {
      const spool = this.#spools[index]
      return spool === undefined ? [] : [{ ...file, source: spool.access() }]
    })
  }

  async close(): Promise<void> {
    for (const spool of this.#spools) await spool.close()
  }
}

function stringBytes(offsets: Uint32Array): number {
  return (offsets.at(-1) ?? 0) - (offsets[0] ?? 0)
}
