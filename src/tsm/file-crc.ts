import { crc32 } from 'node:zlib'
import { combineCrc32, combineWord } from '../io/crc32.ts'
import { readAll } from '../io/spool.ts'
import { CRC_SIZE, TSM_HEADER_SIZE } from './format.ts'
import type { IndexEntry, IndexSection } from './index-section.ts'

/** Bytes of an index that are read at once. */
const PIECE_SIZE = 256 * 1024

/**
 * The CRC-32 of a TSM file whose blocks are read anyway: that of each block is of the same kind, so that no byte of them is looked
 * at twice.
 */
export class FileCrc {
  #crc = 0
  #end = 0

  /** Notes a block whose CRC was found to be right. */
  add({ offset, size }: IndexEntry, crc: number): void {
    if (this.#end === 0 && offset === TSM_HEADER_SIZE) this.#end = offset
    // Of a file whose blocks are in another order than in the index all is read.
    else if (offset !== this.#end) return
    const length = size - CRC_SIZE
    this.#crc = combineCrc32(combineWord(this.#crc, crc), crc, length)
    this.#end += size
  }

  /** Returns that of the whole file, once all blocks are noted; reads what they do not cover. */
  async finish({ source, start }: IndexSection): Promise<number> {
    const isCovered = this.#end === start
    if (!isCovered) return await crcOf(readAll(source), 0)
    const header = crc32(await source.read(0, TSM_HEADER_SIZE))
    const crc = combineCrc32(header, this.#crc, start - TSM_HEADER_SIZE)
    return await crcOf(readAll(source, start, PIECE_SIZE), crc)
  }
}

/** Returns the CRC-32 of bytes that come after others of that `crc`. */
async function crcOf(chunks: AsyncIterable<Uint8Array>, crc: number): Promise<number> {
  let all = crc
  for await (const chunk of chunks) all = crc32(chunk, all)
  return all
}
