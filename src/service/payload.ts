import { SnapError } from '../errors.ts'
import type { ChunkReader } from '../io/chunk-reader.ts'
import type { Conversation } from './context.ts'

/**
 * Runs `work` with the metastore that follows a request and is announced to be of `size` bytes. It counts against what all
 * peers may upload at a time until the work is done.
 * @throws SnapError `E_DESTINATION` if that would be too much, `E_TIMEOUT`, `E_CUT`, and what `work` throws
 */
export async function withPayload<T>(
  { connection, reader, limits, budgets }: Conversation,
  size: number,
  work: (bytes: Uint8Array) => Promise<T>,
): Promise<T> {
  return await budgets.metadata.spend(async (take) => {
    if (!take(size)) {
      const text = `a metastore of ${size} bytes: with the others it is more than ${limits.metadata}`
      throw new SnapError('E_DESTINATION', text, { retryable: true })
    }
    const reading = readPayload(reader, size)
    return await work(await connection.within(limits.upload, 'end of the metastore', reading))
  })
}

/** Reads the bytes after exactly one byte that follows the JSON, whatever it is: influxd takes it for a newline unseen. */
async function readPayload(reader: ChunkReader, size: number): Promise<Uint8Array> {
  if (size === 0) return new Uint8Array(0)
  return (await reader.readExactly(size + 1)).subarray(1)
}
