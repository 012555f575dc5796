import { createHash, type Hash } from 'node:crypto'
import type { RandomAccess } from '../io/random-access.ts'
import { readAll } from '../io/spool.ts'
import { type MergedKey, mergeTsm, type TsmSource } from '../tsm/merge.ts'
import { openTsm } from '../tsm/reader.ts'
import { readTombstones } from '../tsm/tombstone-set.ts'
import type { Block } from '../tsm/values.ts'

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

/** Bytes that are read ahead over all files of a shard, and the least and the most in each. */
const READ_AHEAD = 64 * 1024 * 1024
const MIN_READ_AHEAD = 64 * 1024
const MAX_READ_AHEAD = 1024 * 1024

/** Opens TSM files with their tombstones, in the order of their names, in which influxd lets the last one win. */
export async function sourcesOf(files: ReadonlyMap<string, RandomAccess>): Promise<TsmSource[]> {
  const names = [...files.keys()].filter((name) => name.endsWith('.tsm')).sort()
  const share = Math.floor(READ_AHEAD / Math.max(1, names.length))
  const readAhead = Math.max(MIN_READ_AHEAD, Math.min(MAX_READ_AHEAD, share))
  const sources: TsmSource[] = []
  for (const name of names) {
    const access = files.get(name)
    const deleted = files.get(name.replace(/\.tsm$/, '.tombstone'))
    if (access === undefined) continue
    const tombstones = deleted && (await readTombstones(readAll(deleted), deleted.name))
    sources.push({ file: await openTsm(access, readAhead), tombstones })
  }
  return sources
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
