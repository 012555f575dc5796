import { SnapError } from '../errors.ts'
import type { Conversation } from './context.ts'
import type { TSDBStore } from './stores.ts'

/** The shards that an upload is running to. */
export class Uploads {
  readonly #running = new Set<bigint>()

  /**
   * Runs an upload to the shard.
   * @throws SnapError `E_DESTINATION` if another one is running, and what `upload` throws
   */
  async run(shardId: bigint, upload: () => Promise<void>): Promise<void> {
    if (this.#running.has(shardId)) {
      throw new SnapError('E_DESTINATION', `shard ${shardId}: another upload to it is running`)
    }
    this.#running.add(shardId)
    try {
      await upload()
    } finally {
      this.#running.delete(shardId)
    }
  }
}

/**
 * Takes the tar that a peer uploads into the shard.
 * @throws SnapError `E_TIMEOUT`, and what the store throws
 */
export async function restoreShard(
  shardId: bigint,
  { connection, reader, limits }: Conversation,
  tsdbStore: TSDBStore,
): Promise<void> {
  await tsdbStore.setShardEnabled(shardId, false)
  try {
    const restored = (async () =>
      await tsdbStore.restoreShard(shardId, reader.rest(), connection.signal))()
    try {
      await connection.within(limits.upload, 'end of the upload', restored)
    } finally {
      // Past the deadline the store is told to stop, and may need a moment: the shard is not to be used before.
      await Promise.allSettled([restored])
    }
  } finally {
    await tsdbStore.setShardEnabled(shardId, true)
  }
}
