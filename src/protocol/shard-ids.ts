import { SnapError } from '../errors.ts'
import { BackupMagicHeader } from './constants.ts'
import { checkMagic, checkSize, decodeWord, encodeWords, WORD } from './words.ts'

/** The most pairs of a shard-id map: no metastore of 64 MiB names as many shards. */
const MAX_PAIRS = 4 * 1024 * 1024

/** The longest shard-id map, in bytes. */
export const MAX_SHARD_IDS_SIZE = (MAX_PAIRS + 1) * 2 * WORD

//   0            8            16          24         32
//   | magic u64  | pairs u64  | old id    | new id   | old id ...

/** Encodes the map of uploaded to actual shard ids, ordered by the uploaded one so that equal maps are equal bytes. */
export function encodeShardIds(shardIds: ReadonlyMap<bigint, bigint>): Uint8Array {
  const pairs = [...shardIds].sort(([a], [b]) => (a < b ? -1 : 1))
  return encodeWords([BackupMagicHeader, pairs.length, ...pairs.flat()])
}

/**
 * Decodes a whole shard-id map. No pairs mean that the server changed nothing.
 * @throws SnapError `E_CUT` if it ends early, `E_PROTOCOL` if it is no such map or bytes follow it
 */
export function decodeShardIds(bytes: Uint8Array): Map<bigint, bigint> {
  const what = 'shard-id map'
  checkMagic(bytes, what)
  const pairs = decodeWord(bytes, WORD, what)
  if (pairs > MAX_PAIRS) {
    throw new SnapError('E_PROTOCOL', `${what}: ${pairs} pairs, expected at most ${MAX_PAIRS}`)
  }
  checkSize(bytes, (Number(pairs) + 1) * 2 * WORD, what)
  const shardIds = new Map<bigint, bigint>()
  for (let offset = 2 * WORD; offset < bytes.length; offset += 2 * WORD) {
    shardIds.set(decodeWord(bytes, offset, what), decodeWord(bytes, offset + WORD, what))
  }
  return shardIds
}
