import type { RandomAccess } from '../io/random-access.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { MeasurementSums, type ShardTotals } from '../tsm/measurement-sums.ts'
import type { TsmFile } from '../tsm/reader.ts'
import {
  correctSums,
  needCorrection,
  readTsm,
  type ShardFile,
  type TsmContents,
} from '../tsm/sum-files.ts'
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

  /** Reads a TSM file as {@link readTsm} does, and adds its points. */
  async readTsm(name: string, file: TsmFile): Promise<TsmContents> {
    const contents = await readTsm(file, this.#sums)
    const { minKey, maxKey, overlaps } = contents
    this.#files.set(name, { minKey, maxKey, overlaps, deletes: false })
    this.#flaws.push(...contents.flaws)
    return contents
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
