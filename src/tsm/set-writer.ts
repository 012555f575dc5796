import { encodeBlock } from './block.ts'
import { formatTsmFileName, type TsmFileName } from './file-name.ts'
import { type Block, rangeOf, type TimeRange } from './values.ts'
import {
  type Sink,
  splitBlock,
  TsmWriter,
  type TsmWriterOptions,
  type WrittenTsm,
} from './writer.ts'

/** Where one file of a set goes; a chunk is the target's to keep. */
export interface TsmTarget {
  write(chunk: Uint8Array): Promise<void>
  /** Called once, when the file is whole. */
  close(): Promise<void>
}

/** How a set of TSM files is begun. */
export interface TsmSetOptions extends TsmFileName, TsmWriterOptions {
  /** Opens the target of the file `name`. Targets that were not closed when an error came are the caller's to remove. */
  open(name: string): Promise<TsmTarget>
}

/** A file of a set. */
export interface TsmSetFile extends WrittenTsm {
  readonly name: string
}

interface OpenFile {
  readonly name: string
  readonly target: TsmTarget
  readonly writer: TsmWriter
}

/**
 * Writes keys and blocks in order to as many TSM files of one generation as influxd's limits ask for: 2 GiB a file,
 * 65,535 blocks of a key in a file. The first has the sequence it is given, each further one the next.
 */
export class TsmSetWriter {
  readonly #options: TsmSetOptions
  readonly #files: TsmSetFile[] = []
  #open: OpenFile | undefined

  constructor(options: TsmSetOptions) {
    this.#options = options
  }

  /** Writes an encoded block, see {@link TsmWriter.writeBlock}. */
  async writeBlock(key: Uint8Array, range: TimeRange, bytes: Uint8Array): Promise<void> {
    this.#open ??= await this.#next()
    const { writer } = this.#open
    await writer.writeBlock(key, range, bytes)
    if (writer.full) await this.#close()
  }

  /** Encodes and writes points, see {@link TsmWriter.writeValues}. */
  async writeValues(key: Uint8Array, block: Block): Promise<void> {
    for (const part of splitBlock(block))
      await this.writeBlock(key, rangeOf(part), encodeBlock(part))
  }

  /** Ends the last file and returns all that were written, none if there was no block. */
  async finish(): Promise<readonly TsmSetFile[]> {
    await this.#close()
    return this.#files
  }

  /** Releases what a file that was not finished holds. May be called twice, and after the end. */
  async close(): Promise<void> {
    await this.#open?.writer.close()
  }

  async #next(): Promise<OpenFile> {
    const { generation, sequence } = this.#options
    const name = formatTsmFileName({ generation, sequence: sequence + this.#files.length })
    const target = await this.#options.open(name)
    const sink: Sink = (chunk) => target.write(chunk)
    return { name, target, writer: new TsmWriter(sink, this.#options) }
  }

  async #close(): Promise<void> {
    if (this.#open === undefined) return
    const { name, target, writer } = this.#open
    const written = await writer.finish()
    this.#open = undefined
    await target.close()
    this.#files.push({ name, ...written })
  }
}
