import { SnapError } from '../errors.ts'

/** The whole tar of a shard without files. */
const EMPTY_SIZE = 1024

/**
 * Passes the tar of a shard on; one without files must come twice. It is also the answer to a question that was damaged on
 * the way (another type, another time), and short enough to be asked for again.
 * @param again asks the same once more
 * @throws SnapError `E_SOURCE_DAMAGED`, retryable, if the second answer has files
 */
export async function* confirmEmpty(
  body: AsyncIterable<Uint8Array>,
  again: () => AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    yield chunk
  }
  if (size !== EMPTY_SIZE || (await sizeUpTo(again(), EMPTY_SIZE + 1)) === EMPTY_SIZE) return
  const message = `${what}: came without files, and otherwise when asked again`
  throw new SnapError('E_SOURCE_DAMAGED', message, { retryable: true })
}

async function sizeUpTo(body: AsyncIterable<Uint8Array>, limit: number): Promise<number> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size >= limit) break
  }
  return size
}
