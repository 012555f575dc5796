import { SnapError } from '../errors.ts'
import { Gmac } from '../io/gmac.ts'
import { hashing } from '../io/hashing.ts'
import { readShardTar, type TarEntry } from '../tar/index.ts'
import { describeShard, fileInShard, type InspectedFile, type ShardName } from './inspect.ts'
import type { ShardSource } from './shard-source.ts'
import { sourceFailure } from './source-errors.ts'

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
  const again = new Map<string, SeenFile>()
  try {
    const entries = readShardTar(source.readShard({ shard }, signal).body, { signal })
    for await (const entry of entries) {
      again.set(fileInShard(entry.name, shard), await see(entry))
    }
  } catch (error) {
    throw sourceFailure(error, source)
  }
  const isThere = ({ name, size }: InspectedFile) => again.get(name)?.size === size
  const isOther = ({ name, gmac }: InspectedFile) => again.get(name)?.gmac !== gmac
  const other = files.find((file) => isThere(file) && isOther(file))
  if (other !== undefined) {
    const message = `${source.name}: shard ${describeShard(shard)}: ${other.name} came with two contents`
    throw new SnapError('E_SOURCE_DAMAGED', message, { retryable: true })
  }
  return files.length === again.size && files.every(isThere)
}

type SeenFile = Pick<InspectedFile, 'size' | 'gmac'>

async function see({ body, size }: TarEntry): Promise<SeenFile> {
  const gmac = new Gmac()
  for await (const _ of hashing(body, gmac));
  return { size, gmac: gmac.digest() }
}
