import { SnapError } from '../errors.ts'
import { readShardTar, type TarEntry } from '../tar/index.ts'
import { describeShard, fileInShard, type InspectedFile, type ShardName } from './inspect.ts'
import type { ShardSource } from './shard-source.ts'
import { sourceFailure } from './source-errors.ts'
import { describeEntry, type SentFile } from './upload-shard.ts'

/**
 * Fetches a shard once more and tells whether it has the same files: a tar that was cut between two files has not, nor has
 * one that was compacted meanwhile.
 * @throws SnapError `E_SOURCE_DAMAGED`, retryable, if a file has its name and size and another content: files of a shard
 * never change, so one of the two was damaged on the way, where no check sum shows it
 */
export async function isSameAgain(
  { shard, files }: { readonly shard: ShardName; readonly files: readonly InspectedFile[] },
  { source, signal }: { readonly source: ShardSource; readonly signal: AbortSignal },
): Promise<boolean> {
  const again = new Map<string, SentFile>()
  try {
    const entries = readShardTar(source.readShard({ shard }, signal).body, { signal })
    for await (const entry of entries) {
      const file = await described(entry, shard)
      again.set(file.name, file)
    }
  } catch (error) {
    throw sourceFailure(error, source)
  }
  const isThere = ({ name, size }: InspectedFile) => again.get(name)?.size === size
  const other = files.find((file) => isThere(file) && again.get(file.name)?.crc !== file.crc)
  if (other !== undefined) {
    const message = `${source.name}: shard ${describeShard(shard)}: ${other.name} came with two contents`
    throw new SnapError('E_SOURCE_DAMAGED', message, { retryable: true })
  }
  return files.length === again.size && files.every(isThere)
}

async function described(entry: TarEntry, shard: ShardName): Promise<SentFile> {
  const name = fileInShard(entry.name, shard)
  return { ...(await describeEntry(entry)), name }
}
