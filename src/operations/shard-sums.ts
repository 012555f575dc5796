import type { RandomAccess } from '../io/random-access.ts'
import { checkTsm } from '../tsm/check-tsm.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { MeasurementSums, type ShardTotals } from '../tsm/measurement-sums.ts'
import { type CheckedTsm, correctSums, needCorrection, type ShardFile } from '../tsm/sum-files.ts'
import { sourcesOf } from './tsm-sources.ts'

/** The points of a shard in numbers. */
export interface ShardData extends ShardTotals {
  /** Why the numbers are not exactly those of what influxd would return; undefined if they are. */
  readonly inexact: string | undefined
  /** Blocks whose CRC is right but that do not decode: the source itself has lost them. */
  readonly flaws: readonly string[]
}

/** Opens the files of a shard by name, TSM files and tombstones; undefined if that cannot be done. */
export type OpenFiles = () => ReadonlyMap<string, RandomAccess> | undefined

/** Adds up the points of a shard while its files come by, one after the other. */
export class ShardSums {
  readonly #sums = new MeasurementSums()
  readonly #files = new Map<string, ShardFile>()
  readonly #deleting = new Set<string>()
  readonly #flaws: string[] = []

  /** Adds the points of a TSM file that was checked. */
  add(name: string, { minKey, maxKey, overlaps, flaws, totals }: CheckedTsm): void {
    if (totals !== undefined) this.#sums.join(totals)
    this.#files.set(name, { minKey, maxKey, overlaps, deletes: false })
    this.#flaws.push(...flaws)
  }

  /** Remembers that a tombstone deletes something. */
  addTombstone(name: string): void {
    this.#deleting.add(name)
  }

  /**
   * Returns the numbers of the shard. Where files overlap or have tombstones some of them is read again.
   * @param open asked only if there is need
   * @throws SnapError if the files are not what they were the first time
   */
  async finish(open: OpenFiles): Promise<ShardData> {
    const inexact = await this.#correct(open)
    return { ...this.#sums.totals(), inexact, flaws: this.#flaws }
  }

  async #correct(open: OpenFiles): Promise<string | undefined> {
    const [flaw] = this.#flaws
    if (flaw !== undefined) return flaw
    const files = [...this.#files].map(([name, file]) => ({
      ...file,
      deletes: this.#deleting.has(tombstoneFileName(name)),
    }))
    if (!needCorrection(files)) return undefined
    const opened = open()
    if (opened === undefined) return 'files overlap, and cannot be read again'
    return await correctSums(await sourcesOf(opened), this.#sums)
  }
}

/**
 * Adds up the points of a shard that is open: TSM files and tombstones by name, which stay open.
 * @throws SnapError as {@link checkTsm} and {@link ShardSums.finish}
 */
export async function sumFiles(
  files: ReadonlyMap<string, RandomAccess>,
  signal: AbortSignal,
): Promise<ShardData> {
  const sums = new ShardSums()
  for (const [name, file] of files) {
    if (name.endsWith('.tsm')) sums.add(name, await checkTsm(file, { points: true, signal }))
    else sums.addTombstone(name)
  }
  return await sums.finish(() => files)
}
