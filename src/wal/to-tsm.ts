import type { RandomAccess } from '../io/random-access.ts'
import { SpooledSet, type SpooledTsm } from '../tsm/spooled-set.ts'
import { mergeKey, mergeRuns } from './merge.ts'
import { memoryRun, RunFile } from './run-file.ts'
import { readSegment, type WalDamage } from './segment.ts'
import { type OnConflict, WriteTable } from './table.ts'

/** Memory for points before they are sorted and put into a file, bytes. */
export const WAL_MEMORY = 64 * 1024 * 1024

export interface WalToTsmOptions {
  /** Of the files made: one more than the highest in the shard's directory. */
  readonly generation: number
  /** Gets temporary files, which have no name and so leave nothing behind. */
  readonly tempDir: string
  /** Bytes, default {@link WAL_MEMORY}; only the largest single entry can add to it. */
  readonly memoryBudget?: number | undefined
  readonly signal?: AbortSignal | undefined
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
  /** None if the WAL holds no points. The caller closes their sources. */
  readonly files: readonly SpooledTsm[]
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
  const output = new SpooledSet(options)
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
