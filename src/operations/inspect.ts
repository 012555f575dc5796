import { SnapError } from '../errors.ts'
import { Gmac } from '../io/gmac.ts'
import { hashing } from '../io/hashing.ts'
import { spool } from '../io/spool.ts'
import { parseEntryName, type TarEntry } from '../tar/index.ts'
import { checkTsm, expectTsm } from '../tsm/check-tsm.ts'
import { decodeTombstones } from '../tsm/tombstone.ts'
import type { ShardSums } from './shard-sums.ts'

/** What is known of one file of a shard after it was read once. */
export interface InspectedFile {
  /** Name inside the shard's directory. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Bytes of the tar before it. */
  readonly offset: number
  readonly mtime: Date
  /** Of its bytes; only if it was asked for. */
  readonly gmac?: string | undefined
  readonly kind: 'tsm' | 'tombstone' | 'other'
  /** What the index says; TSM files only. */
  readonly tsm?: TsmSummary | undefined
}

/** What the index of a TSM file says. Times are nanoseconds since the epoch. */
export interface TsmSummary {
  readonly keys: number
  readonly blocks: number
  readonly minTime: bigint
  readonly maxTime: bigint
}

/** A shard by its names and id. */
export interface ShardName {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
}

/** The shard that entries must belong to, and where a large one may be spooled. */
export interface InspectOptions {
  readonly shard: ShardName
  readonly tempDir: string
  /** Bytes of a file that are kept in memory; default as for any spool. */
  readonly memoryLimit?: number | undefined
  /** Gets the points of the files; without it no block is decoded. */
  readonly sums?: ShardSums | undefined
  /** Take the GMAC of each file. Default false. */
  readonly hashed?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads an entry of a shard's tar to its end and checks it: named inside the shard, a TSM file with a sound index and
 * a right CRC on every block, a tombstone that decodes.
 * @throws SnapError `E_FORMAT` or `E_INTEGRITY` naming the file and what is wrong with it
 */
export async function inspectEntry(
  entry: TarEntry,
  options: InspectOptions,
): Promise<InspectedFile> {
  const check = await receiveEntry(entry, options)
  return await check()
}

/**
 * The first half of {@link inspectEntry}: reads an entry to its end. What it returns does the rest, for which no more of the tar is
 * needed, and has to be called, as it lets go of what was read.
 * @throws SnapError as {@link inspectEntry}, as does what it returns
 */
export async function receiveEntry(
  entry: TarEntry,
  { shard, hashed, ...options }: InspectOptions,
): Promise<() => Promise<InspectedFile>> {
  const name = fileInShard(entry.name, shard)
  const { size, offset, mtime } = entry
  const gmac = hashed ? new Gmac() : undefined
  const body = gmac ? hashing(entry.body, gmac) : entry.body
  const kind = kindOf(name)
  const check = kind === 'tsm' ? await receiveTsm({ ...entry, body }, name, options) : undefined
  if (kind === 'tombstone') {
    for await (const _ of decodeTombstones(body, entry.name)) options.sums?.addTombstone(name)
  }
  if (kind === 'other') for await (const _ of body);
  const described = {
    ...{ name, size, offset, mtime, kind },
    ...(gmac && { gmac: gmac.digest() }),
  }
  return async () => ({ ...described, ...(check && { tsm: await check() }) })
}

/** Tells by its name what a file of a shard is. */
export function kindOf(name: string): InspectedFile['kind'] {
  if (name.endsWith('.tsm')) return 'tsm'
  return name.endsWith('.tombstone') ? 'tombstone' : 'other'
}

/** Takes a TSM file in, and returns what checks it and lets go of it. */
async function receiveTsm(
  { name: path, body, size }: TarEntry,
  name: string,
  { tempDir, memoryLimit, sums, signal }: Omit<InspectOptions, 'shard'>,
): Promise<() => Promise<TsmSummary>> {
  expectTsm(size)
  const bytes = await spool(body, { name: path, tempDir, memoryLimit, size })
  return async () => {
    try {
      const checked = await checkTsm(bytes, { points: sums !== undefined, signal })
      sums?.add(name, checked)
      const { keys, blocks, minTime, maxTime } = checked
      return { keys, blocks, minTime, maxTime }
    } finally {
      await bytes.close()
    }
  }
}

/**
 * Returns the file name of an entry that belongs to `shard`.
 * @throws SnapError `E_FORMAT` if it belongs to another
 */
export function fileInShard(entryName: string, shard: ShardName): string {
  const { database, retentionPolicy, shardId, file } = parseEntryName(entryName)
  const same =
    database === shard.database &&
    retentionPolicy === shard.retentionPolicy &&
    shardId === shard.shardId
  if (same) return file
  throw new SnapError('E_FORMAT', `entry ${entryName} is not of shard ${describeShard(shard)}`)
}

/** Names a shard for messages. */
export function describeShard({ database, retentionPolicy, shardId }: ShardName): string {
  return `${shardId} (${database}.${retentionPolicy})`
}
