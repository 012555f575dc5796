import { SnapError } from '../errors.ts'
import type { ChunkReader } from '../io/chunk-reader.ts'
import type { Connection } from '../io/connection.ts'
import type { TSDBStore } from './stores.ts'

/** The shards that an upload is running to. */
export class Uploads {
  readonly #running = new Set<bigint>()

  /**
   * Takes an upload out of `reader` into the shard.
   * @param limit longest time in ms for the whole
   * @throws SnapError `E_DESTINATION` if another upload to the shard is running, `E_TIMEOUT`, and what the store throws
   */
  async run(
    shardId: bigint,
    source: { readonly connection: Connection; readonly reader: ChunkReader },
    { tsdbStore, limit }: { readonly tsdbStore: TSDBStore; readonly limit: number },
  ): Promise<void> {
    if (this.#running.has(shardId)) {
      throw new SnapError('E_DESTINATION', `shard ${shardId}: another upload to it is running`)
    }
    this.#running.add(shardId)
    try {
      await tsdbStore.setShardEnabled(shardId, false)
      try {
        await restore(shardId, source, { tsdbStore, limit })
      } finally {
        await tsdbStore.setShardEnabled(shardId, true)
      }
    } finally {
      this.#running.delete(shardId)
    }
  }
}

async function restore(
  shardId: bigint,
  { connection, reader }: { readonly connection: Connection; readonly reader: ChunkReader },
  { tsdbStore, limit }: { readonly tsdbStore: TSDBStore; readonly limit: number },
): Promise<void> {
  const restored = (async () =>
    await tsdbStore.restoreShard(shardId, reader.rest(), connection.signal))()
  try {
    await connection.within(limit, 'end of the upload', restored)
  } finally {
    // Past the deadline the store is told to stop, and may need a moment: the shard is not to be used before.
    await Promise.allSettled([restored])
  }
}
