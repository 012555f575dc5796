import { packShardTar, type TarEntryInput } from '../../src/tar/index.ts'

/** An entry of a tar with these bytes or this text in it. */
export function entry(name: string, content: string | Uint8Array): TarEntryInput {
  const body = [Buffer.from(content)]
  return { name, size: Buffer.byteLength(content), mtime: new Date(1_600_000_000_000), body }
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
