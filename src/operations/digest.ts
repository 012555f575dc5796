import { createHash, type Hash } from 'node:crypto'
import type { RandomAccess } from '../io/random-access.ts'
import { type MergedKey, mergeTsm } from '../tsm/merge.ts'
import type { Block } from '../tsm/values.ts'
import { sourcesOf } from './tsm-sources.ts'

export { sourcesOf } from './tsm-sources.ts'

/** The points of a shard in one number: equal for equal data, whatever files, blocks and tombstones it is in. */
export interface ShardDigest {
  /** Lower-case hex. */
  readonly sha256: string
  readonly points: number
}

/**
 * Reads the files of a shard as influxd would, tombstones applied, and digests every key, type, time and value.
 * @param files by name; TSM files and tombstones count
 */
export async function digestShard(files: ReadonlyMap<string, RandomAccess>): Promise<ShardDigest> {
  const hash = createHash('sha256')
  let points = 0
  for await (const key of mergeTsm(await sourcesOf(files))) points += await digestKey(hash, key)
  return { sha256: hash.digest('hex'), points }
}

/** Times and values have a hash each, so that the cut into blocks does not show. */
async function digestKey(hash: Hash, { key, type, blocks }: MergedKey): Promise<number> {
  const times = createHash('sha256')
  const values = createHash('sha256')
  let points = 0
  for await (const block of blocks) {
    points += block.times.length
    times.update(block.times)
    updateValues(values, block)
  }
  if (points === 0) return 0
  hash.update(`${key.length} ${type} ${points} `).update(key)
  hash.update(times.digest()).update(values.digest())
  return points
}

function updateValues(hash: Hash, block: Block): void {
  if (block.type !== 'string') {
    hash.update(block.values)
    return
  }
  const { offsets, bytes } = block.values
  hash.update(Uint32Array.from(offsets.subarray(1), (end, i) => end - (offsets[i] ?? 0)))
  hash.update(bytes.subarray(offsets[0], offsets.at(-1)))
}
