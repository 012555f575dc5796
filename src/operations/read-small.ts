import { SnapError } from '../errors.ts'
import type { Store } from '../storage/index.ts'

/** Reservations, locks and pins hold a few words. */
const MAX_SIZE = 4096

/** Reads the beginning of a few words that a run has left; empty if they are gone meanwhile, or cannot be read. */
export async function readSmall(store: Store, name: string, signal?: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of store.read(name, undefined, signal)) {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_SIZE) break
    }
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    signal?.throwIfAborted()
  }
  return Buffer.concat(chunks).toString()
}
