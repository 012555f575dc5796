import type { S3Connection } from './s3-client.ts'
import { copyToName, exists, lock, type Publication } from './s3-copy.ts'
import { createOnce } from './s3-create.ts'

/** Bytes of small objects of a store that are kept until they are published. */
const KEPT_SIZE = 4 * 1024 * 1024

/** The bytes of small objects that are to be published, as long as they are few: there is a small one for each shard of a set. */
export class KeptBytes {
  #size = 0

  /** Keeps bytes and returns them, unless there are too many. */
  keep(bytes: Uint8Array | undefined): Uint8Array | undefined {
    if (bytes === undefined || this.#size + bytes.length > KEPT_SIZE) return undefined
    this.#size += bytes.length
    return bytes
  }

  /** Forgets bytes that were kept. To be called once. */
  forget(bytes: Uint8Array | undefined): void {
    this.#size -= bytes?.length ?? 0
  }
}

/**
 * Gives an object its final name, never over one that is there: by a copy within the store; if its bytes are at hand and the
 * store keeps the condition, by storing them again. That is no more than a copy, takes no look before, and leaves nobody a
 * moment in between.
 * @param bytes what is in the object, on a store that keeps conditions
 * @throws SnapError `E_TARGET_EXISTS`, `E_DESTINATION`
 */
export async function publish(
  connection: S3Connection,
  publication: Publication,
  bytes: Uint8Array | undefined,
): Promise<void> {
  if (bytes === undefined) return await copyToName(connection, publication)
  const { to: key, lockDays, signal } = publication
  if (!(await createOnce(connection, { key, text: bytes, signal }))) throw exists(connection, key)
  if (lockDays !== undefined) await lock(connection, publication, undefined)
}
