import type { Data, ListedShard } from '../meta/index.ts'
import { decodeData, listShards } from '../meta/index.ts'
import { decodeMetastoreFrame } from '../protocol/index.ts'
import type { FileListing, SetSource } from './source.ts'
import { decodeStored, readSmallFile } from './source.ts'

/** One file of a legacy directory with the increment at the end of its name. */
export interface LegacyFile {
  readonly name: string
  /** Counts from 0: each backup into the directory takes the next one that is free for that shard. */
  readonly increment: number
  /** Bytes. */
  readonly size: number
}

/** A shard of a legacy directory. Its archives are plain tars. */
export interface LegacyShard {
  readonly shardId: bigint
  readonly database: string
  readonly retentionPolicy: string
  /** In ascending order. A later one is a whole shard again, or with `-since` only what changed. */
  readonly increments: readonly LegacyFile[]
}

/** A file that looks like a shard's but cannot be restored. */
export interface LeftOut {
  readonly name: string
  readonly reason: string
}

/** A directory written by `influxd backup` without `-portable`. */
export interface LegacyBackup {
  readonly metaFile: LegacyFile
  readonly meta: Data
  /** The metastore as it was stored. */
  readonly metaBytes: Uint8Array
  readonly shards: readonly LegacyShard[]
  readonly leftOut: readonly LeftOut[]
}

const META_FILE = /^meta\.(\d{2,9})$/
const SHARD_FILE = /^(.+)\.(\d{5,20})\.(\d{2,9})$/s

/** True if a file name is one that `influxd backup` gives without `-portable`. */
export function isLegacyFile(name: string): boolean {
  return META_FILE.test(name) || SHARD_FILE.test(name)
}

/** Returns the newest metastore by number: `meta.100` comes after `meta.99`. */
export function newestMeta(files: FileListing): LegacyFile | undefined {
  let newest: LegacyFile | undefined
  for (const { name, size } of files.values()) {
    const increment = Number(META_FILE.exec(name)?.[1] ?? -1)
    if (increment > (newest?.increment ?? -1)) newest = { name, increment, size }
  }
  return newest
}

/** The names cannot be told apart by their dots, so the metastore says whose a shard id is. */
function reasonAgainst(found: ListedShard | undefined, prefix: string): string | undefined {
  if (found === undefined) return 'the metastore has no such shard'
  if (found.deleted) return 'the metastore marks its shard group as deleted'
  const { database, retentionPolicy } = found
  if (`${database}.${retentionPolicy}` === prefix) return undefined
  return `the metastore says that the shard is of ${database}.${retentionPolicy}`
}

function collectShards(meta: Data, files: FileListing) {
  const known = new Map(
    listShards(meta, { includeDeleted: true }).map((listed) => [listed.shard.id, listed]),
  )
  const shards = new Map<bigint, LegacyShard & { readonly increments: LegacyFile[] }>()
  const leftOut: LeftOut[] = []
  for (const { name, size } of files.values()) {
    const [, prefix = '', id = '', number] = SHARD_FILE.exec(name) ?? []
    if (number === undefined) continue
    const shardId = BigInt(id)
    const found = known.get(shardId)
    const reason = reasonAgainst(found, prefix)
    if (found === undefined || reason !== undefined) {
      leftOut.push({ name, reason: reason ?? '' })
      continue
    }
    const { database, retentionPolicy } = found
    const shard = shards.get(shardId) ?? { shardId, database, retentionPolicy, increments: [] }
    shard.increments.push({ name, increment: Number(number), size })
    shards.set(shardId, shard)
  }
  for (const { increments } of shards.values()) increments.sort((a, b) => a.increment - b.increment)
  return { shards: [...shards.values()], leftOut }
}

/**
 * Reads a directory of `influxd backup` without `-portable` (docs/formats/legacy.md); undefined if it holds no
 * metastore of one. Unfinished `.pending` files are passed over.
 * @throws SnapError `E_INTEGRITY` if the newest metastore does not decode
 */
export async function readLegacy(
  source: SetSource,
  files: FileListing,
  signal?: AbortSignal,
): Promise<LegacyBackup | undefined> {
  const metaFile = newestMeta(files)
  if (metaFile === undefined) return undefined
  const { bytes } = await readSmallFile(source, metaFile.name, signal)
  const { meta, metaBytes } = decodeStored(source, metaFile.name, (what) => {
    const { meta: metaBytes } = decodeMetastoreFrame(bytes)
    return { meta: decodeData(metaBytes, what), metaBytes }
  })
  return { metaFile, meta, metaBytes, ...collectShards(meta, files) }
}
