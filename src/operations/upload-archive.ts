import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { asSnapError, SnapError } from '../errors.ts'
import { listShards, type ShardGroupInfo, startOfGroup } from '../meta/index.ts'
import { readArchive } from '../portable/archive-reader.ts'
import { formatGoTime } from '../protocol/index.ts'
import { readShardTar } from '../tar/index.ts'
import { parseEntryName } from '../tar/names.ts'
import { MAX_TIME, MIN_TIME } from '../tsm/values.ts'
import { atDestination } from './at-destination.ts'
import { asDamage, checkArchive } from './check-archive.ts'
import { describeShard, type InspectedFile, type ShardName } from './inspect.ts'
import type { Progress } from './progress.ts'
import { readBack } from './readback.ts'
import type { ArchivePart } from './restorable.ts'
import { wholeContent } from './restore-content.ts'
import type { OpenServer } from './server.ts'
import { totalsOf } from './shard-stats.ts'
import { createThrottle } from './throttle.ts'
import { uploadShard } from './upload-shard.ts'

/** Which archive goes into which shard. */
export interface UploadArchiveOptions {
  readonly server: OpenServer
  /** A `.tar` or `.tar.gz` file with one shard. */
  readonly path: string
  /** The shard in the archive, if the caller knows; else the archive says. */
  readonly shardId?: bigint | undefined
  /** The shard on the server. */
  readonly newShardId: bigint
  readonly newDatabase?: string | undefined
  readonly newRetentionPolicy?: string | undefined
  readonly readBack: boolean
  /** Times the shard is read back in all. */
  readonly attempts: number
  readonly limitRate?: number | undefined
  readonly tempDir: string
  /** Only check, and say what would be uploaded. */
  readonly dryRun: boolean
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** What was uploaded. */
export interface UploadedArchive {
  readonly from: ShardName
  readonly to: ShardName
  readonly files: number
  readonly bytes: number
}

/**
 * Uploads the archive of one shard into a shard that the server has, usually one that `updateMeta` made, after it was
 * checked whole.
 * @throws SnapError `E_NO_BACKUP` if there is no such file, `E_INTEGRITY`, `E_NOTHING_MATCHED`, `E_DESTINATION`
 */
export async function uploadArchive(options: UploadArchiveOptions): Promise<UploadedArchive> {
  const { server, path, newShardId, tempDir, signal, limitRate, progress } = options
  const part = await openArchive(path)
  const from = await shardIn(part, signal)
  if (options.shardId !== undefined && options.shardId !== from.shardId) {
    throw new SnapError(
      'E_NOTHING_MATCHED',
      `${path} holds shard ${from.shardId}, expected ${options.shardId}`,
    )
  }
  const shard = { ...from, parts: [part] }
  const files = await checkArchive(shard, part, { tempDir, signal })
  const database = options.newDatabase ?? from.database
  const retentionPolicy = options.newRetentionPolicy ?? from.retentionPolicy
  const to = { database, retentionPolicy, shardId: newShardId }
  checkTimes(files, { path, to, group: await groupOf(to, options) })
  const { tsmFiles, tsmBytes, tombstoneBytes } = totalsOf(files)
  if (options.dryRun) return { from, to, files: tsmFiles, bytes: tsmBytes }
  const about = tombstoneBytes > 0
  progress({ type: 'plan', task: 'upload', shards: 1, bytes: tsmBytes, about })
  progress({ type: 'shardStart', shard: from, bytes: tsmBytes })
  const started = performance.now()
  const throttle = createThrottle(limitRate)
  const content = wholeContent(shard, tempDir)
  const transfer = {
    ...{ server, throttle, signal },
    onBytes: (bytes: number) => progress({ type: 'shardProgress', shard: from, bytes }),
  }
  const sent = await atDestination(() =>
    uploadShard(content, { newShardId, database, retentionPolicy }, transfer),
  )
  if (options.readBack) {
    const reading = { server, tempDir, attempts: options.attempts, signal }
    await atDestination(() => readBack(content, { shard: to, sent }, reading))
  }
  const bytes = sent.reduce((sum, { size }) => sum + size, 0)
  progress({ type: 'shardDone', shard: from, bytes, durationMs: performance.now() - started })
  return { from, to, files: sent.length, bytes }
}

const GZIP_MAGIC = [0x1f, 0x8b]

async function openArchive(path: string): Promise<ArchivePart> {
  const name = basename(path)
  const read = (signal?: AbortSignal) =>
    createReadStream(path, { highWaterMark: 1024 * 1024, ...(signal && { signal }) })
  const compressed = await isGzip(path)
  return {
    name,
    stored: undefined,
    tarSize: undefined,
    open: (signal) => (compressed ? readArchive(read(signal), name) : read(signal)),
  }
}

async function isGzip(path: string): Promise<boolean> {
  try {
    const handle = await open(path, 'r')
    try {
      const { buffer } = await handle.read(Buffer.alloc(GZIP_MAGIC.length), 0, GZIP_MAGIC.length, 0)
      return GZIP_MAGIC.every((byte, i) => buffer[i] === byte)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw asSnapError(error, 'E_NO_BACKUP', path)
  }
}

async function shardIn(part: ArchivePart, signal: AbortSignal): Promise<ShardName> {
  try {
    for await (const { name } of readShardTar(part.open(signal), { name: part.name, signal })) {
      const { database, retentionPolicy, shardId } = parseEntryName(name)
      return { database, retentionPolicy, shardId }
    }
  } catch (error) {
    throw asDamage(error, undefined, part.name)
  }
  throw new SnapError(
    'E_NOTHING_MATCHED',
    `${part.name} holds no files: there is nothing to upload`,
  )
}

/** Finds the group of the target. A server takes an upload to names that are not the shard's and throws it away. */
async function groupOf(
  { database, retentionPolicy, shardId }: ShardName,
  { server, signal }: UploadArchiveOptions,
): Promise<ShardGroupInfo> {
  const data = await atDestination(() => server.client.metastoreBackup(signal))
  const found = listShards(data).find(({ shard }) => shard.id === shardId)
  if (found?.database === database && found.retentionPolicy === retentionPolicy) return found.group
  throw new SnapError(
    'E_DESTINATION',
    `${server.name} has no shard ${shardId} in ${database}.${retentionPolicy}`,
    { hint: 'snap update-meta makes the shards and prints their ids' },
  )
}

/** Points outside the times of a shard group are there and never found: queries look for groups by time. */
function checkTimes(
  files: readonly InspectedFile[],
  { path, to, group }: { path: string; to: ShardName; group: ShardGroupInfo },
): void {
  const ranges = files.flatMap(({ tsm }) => (tsm === undefined ? [] : [tsm]))
  const [startTime, endTime] = [startOfGroup(group), group.endTime]
  if (ranges.every(({ minTime, maxTime }) => minTime >= startTime && maxTime < endTime)) return
  const first = ranges.reduce((least, { minTime }) => (minTime < least ? minTime : least), MAX_TIME)
  const last = ranges.reduce((most, { maxTime }) => (maxTime > most ? maxTime : most), MIN_TIME)
  const holds = `holds points from ${formatGoTime(first)} to ${formatGoTime(last)}`
  const takes = `those from ${formatGoTime(startTime)} to before ${formatGoTime(endTime)}`
  throw new SnapError(
    'E_DESTINATION',
    `${path} ${holds}, shard ${describeShard(to)} is for ${takes}`,
    { hint: 'give --to-shard the id that snap update-meta printed for this shard' },
  )
}
