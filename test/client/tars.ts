import { packShardTar, type TarEntryInput } from '../../src/tar/index.ts'

/** An entry of a tar with `text` in it. */
export function entry(name: string, text: string): TarEntryInput {
  const body = [Buffer.from(text)]
  return { name, size: Buffer.byteLength(text), mtime: new Date(1_600_000_000_000), body }
}

/** Returns the bytes of a shard tar. */
export async function tarOf(...entries: readonly TarEntryInput[]): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of packShardTar(entries)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Gives bytes in pieces of `size`, then fails with `error` if there is one. */
export async function* streamOf(bytes: Uint8Array, size = 700, error?: Error) {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size)
  }
  if (error !== undefined) throw error
}
