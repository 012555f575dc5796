import { readFile } from 'node:fs/promises'
import { type ReadTarOptions, readShardTar } from '../../src/tar/reader.ts'

/** Reads a tar of test/fixtures/tar. */
export async function fixture(name: string): Promise<Uint8Array> {
  return await readFile(new URL(`../fixtures/tar/${name}.tar`, import.meta.url))
}

/** Gives `bytes` in chunks of `size`; `state` sees how much was pulled and whether the consumer closed the stream. */
export async function* inChunks(
  bytes: Uint8Array,
  size: number,
  state: { pulled?: number; closed?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < bytes.length; at += size) {
      const chunk = bytes.subarray(at, at + size)
      state.pulled = (state.pulled ?? 0) + chunk.length
      yield chunk
    }
  } finally {
    state.closed = true
  }
}

/** Joins what a stream gives. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What a tar holds, bodies and all. */
export async function listTar(
  bytes: Uint8Array,
  options: ReadTarOptions & { readonly chunk?: number } = {},
) {
  const files: { name: string; size: number; mtime: number; mode: number; body: Buffer }[] = []
  for await (const entry of readShardTar(inChunks(bytes, options.chunk ?? 65_536), options)) {
    const { name, size, mode } = entry
    files.push({ name, size, mode, mtime: entry.mtime.getTime(), body: await collect(entry.body) })
  }
  return files
}
