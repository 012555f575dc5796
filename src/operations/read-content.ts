import { Gmac } from '../io/gmac.ts'
import { readShardTar } from '../tar/index.ts'
import type { FetchOptions } from './fetch-shard.ts'
import { describeShard, fileInShard, kindOf, type ShardName } from './inspect.ts'
import type { HashedFile } from './shard-evidence.ts'
import type { ShardState } from './shard-source.ts'
import { counted, sourceErrors, sourceFailure } from './source-errors.ts'

/** What a shard holds now. */
export interface ReadContent {
  readonly files: readonly HashedFile[]
  /** Bytes of its tar. */
  readonly bytes: number
  /** As of a shard that is stored. */
  readonly isComplete: boolean
  readonly state: ShardState | undefined
}

/**
 * Reads a whole shard for its hashes alone, storing nothing.
 * @throws SnapError as a fetch that stores it does
 */
export async function readContent(
  shard: ShardName,
  options: Pick<FetchOptions, 'source' | 'throttle' | 'onBytes'> & { readonly signal: AbortSignal },
): Promise<ReadContent> {
  const { source, throttle, onBytes, signal } = options
  const { body, isComplete, state } = source.readShard({ shard }, signal)
  let bytes = 0
  const received = counted(sourceErrors(throttle(body, signal), source), (total) => {
    bytes = total
    onBytes?.(total)
  })
  const files: HashedFile[] = []
  try {
    const name = `shard ${describeShard(shard)}`
    for await (const entry of readShardTar(received, { name, signal })) {
      const file = fileInShard(entry.name, shard)
      const gmac = new Gmac()
      for await (const chunk of entry.body) gmac.update(chunk)
      const { size, mtime } = entry
      files.push({ name: file, size, mtime, kind: kindOf(file), gmac: gmac.digest() })
    }
  } catch (error) {
    throw sourceFailure(error, source)
  }
  return { files, bytes, isComplete, state: state?.() }
}
