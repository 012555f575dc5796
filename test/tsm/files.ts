import { bytesAccess } from '../../src/io/random-access.ts'
import { openTsm, type TsmFile } from '../../src/tsm/reader.ts'
import type { Block } from '../../src/tsm/values.ts'
import { type Sink, TsmWriter } from '../../src/tsm/writer.ts'

/** A sink that keeps what it is given. */
export function memorySink(): { readonly sink: Sink; bytes(): Buffer } {
  const chunks: Uint8Array[] = []
  return {
    sink: async (chunk) => {
      chunks.push(chunk)
    },
    bytes: () => Buffer.concat(chunks),
  }
}

/** Writes a TSM file of these keys, which must be in order, each with its blocks. */
export async function tsmBytes(
  keys: Iterable<readonly [string, readonly Block[]]>,
): Promise<Buffer> {
  const { sink, bytes } = memorySink()
  const writer = new TsmWriter(sink)
  for (const [key, blocks] of keys) {
    for (const block of blocks) await writer.writeValues(Buffer.from(key), block)
  }
  await writer.finish()
  return bytes()
}

/** Opens a TSM file in memory. */
export function openBytes(bytes: Uint8Array, name = 'test.tsm'): Promise<TsmFile> {
  return openTsm(bytesAccess(bytes, name))
}

/** Gives `bytes` in pieces of `size`. */
export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Takes everything that is given. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}
