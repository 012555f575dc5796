import { SnapError } from '../errors.ts'
import type { Store } from '../storage/index.ts'

/** What may be said about reading. */
interface ReadOptions {
  /** Bytes, about: no more than one chunk more is read. Default 4096, for reservations, locks and pins. */
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Reads the beginning of a few words that a run has left; empty if they are gone meanwhile, or cannot be read. */
export async function readSmall(
  store: Store,
  name: string,
  { limit = 4096, signal }: ReadOptions = {},
): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of store.read(name, undefined, signal)) {
      chunks.push(chunk)
      size += chunk.length
      if (size > limit) break
    }
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    signal?.throwIfAborted()
  }
  return Buffer.concat(chunks).toString()
}
