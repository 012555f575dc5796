import type { RandomAccess } from '../io/random-access.ts'
import { Spool } from '../io/spool.ts'
import { fullBlocks } from './full-blocks.ts'
import { type TsmSetFile, TsmSetWriter } from './set-writer.ts'
import type { Block } from './values.ts'

/** A TSM file without a place on a disk. */
export interface SpooledTsm extends TsmSetFile {
  /** Its bytes; the caller closes it. */
  readonly source: RandomAccess
}

/** TSM files of one generation that are written to be read again, each in memory or in a temporary file without a name. */
export class SpooledSet {
  readonly #spools: Spool[] = []
  readonly #writer: TsmSetWriter
  /** Written so far. */
  points = 0

  constructor({ generation, tempDir }: { readonly generation: number; readonly tempDir: string }) {
    const open = async (name: string) => {
      const spool = new Spool({ name, tempDir })
      this.#spools.push(spool)
      return { write: (chunk: Uint8Array) => spool.consume(chunk), close: async () => {} }
    }
    this.#writer = new TsmSetWriter({ generation, sequence: 1, open, tempDir })
  }

  /** Writes the points of one key in full blocks, however they are cut. */
  async writeKey(key: Uint8Array, blocks: AsyncIterable<Block>): Promise<void> {
    for await (const block of fullBlocks(blocks)) {
      await this.#writer.writeValues(key, block)
      this.points += block.times.length
    }
  }

  /** Ends the last file and returns all of them, open. */
  async finish(): Promise<SpooledTsm[]> {
    const files = await this.#writer.finish()
    return files.flatMap((file, index) => {
      const spool = this.#spools[index]
      return spool === undefined ? [] : [{ ...file, source: spool.access() }]
    })
  }

  /** Releases all files. */
  async close(): Promise<void> {
    await this.#writer.close()
    for (const spool of this.#spools) await spool.close()
  }
}
