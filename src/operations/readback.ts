import { setTimeout as sleep } from 'node:timers/promises'
import { asSnapError, EXIT_CODES, SnapError } from '../errors.ts'
import { untilAborted } from '../io/durable.ts'
import { recycling } from '../io/recycled.ts'
import { readRecycled } from '../io/spool.ts'
import { parseEntryName, readShardTar, type TarEntry } from '../tar/index.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { addCounts, compareShards, NO_POINTS, type PointCounts } from './restore-compare.ts'
import { isEqual, type ShardContent } from './restore-content.ts'
import { retryShard } from './retry-shard.ts'
import type { OpenServer } from './server.ts'
import type { ShardFiles } from './shard-source.ts'
import { spoolShard } from './spool-shard.ts'
import { describeFile, reopenShard, type SentFile } from './upload-shard.ts'

/** How a shard is read back. */
export interface ReadBackOptions {
  readonly server: Pick<OpenServer, 'client' | 'name' | 'openShard'>
  readonly tempDir: string
  /** Times a read is tried in all. */
  readonly attempts: number
  /** Longest time in ms in which a server may have the shard closed. Default 60 s. */
  readonly readyWithin?: number | undefined
  readonly signal: AbortSignal
}

/** What a shard that was read back holds: undefined if it is file by file what was sent, else how its points compare. */
export type ReadBack = PointCounts | undefined

/**
 * Reads a restored shard back from the server and compares it with what was sent: file by file, and where the server
 * has compacted them meanwhile, point by point. Points that were written since are no difference.
 * @param shard names and id on the server
 * @throws SnapError `E_DESTINATION` if the shard does not hold what was sent; retryable if it holds nothing at all
 */
export async function readBack(
  content: ShardContent,
  { shard, sent }: { readonly shard: ShardName; readonly sent: readonly SentFile[] },
  options: ReadBackOptions,
): Promise<ReadBack> {
  const found = await listShard(shard, options)
  if (isSame(sent, found)) return undefined
  const counts = await comparePoints(content, shard, options)
  if (counts.missing + counts.different === 0) return counts
  const what = `${counts.missing} of ${counts.expected} points are missing, ${counts.different} have another value`
  throw new SnapError(
    'E_DESTINATION',
    `${options.server.name}: shard ${describeShard(shard)} does not hold what was sent: ${what}`,
    {
      hint: "look at the server's log; the restored database is not to be trusted",
      retryable: found.size === 0,
    },
  )
}

/** Tells whether a shard holds exactly these files. */
export function isSame(files: readonly SentFile[], found: ReadonlyMap<string, SentFile>): boolean {
  return files.length === found.size && files.every((file) => isEqual(file, found.get(file.name)))
}

/** Lists what a shard on the server holds, by name, each file read to its end: those of a data directory where they are. */
export async function listShard(
  shard: ShardName,
  options: ReadBackOptions,
): Promise<ReadonlyMap<string, SentFile>> {
  const { server, signal } = options
  if (server.openShard !== undefined) {
    const live = await server.openShard(shard.shardId, signal)
    return await listFiles(live, signal).finally(() => live.close())
  }
  const list = async (entries: AsyncIterable<TarEntry>) => {
    const found = new Map<string, SentFile>()
    for await (const { name, body } of entries) {
      const { file } = parseEntryName(name)
      found.set(file, await describeFile(file, body))
    }
    return found
  }
  return await readLive(shard, options, () => readArriving(shard, options, list))
}

async function listFiles(
  { files }: Pick<ShardFiles, 'files'>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SentFile>> {
  const found = new Map<string, SentFile>()
  for (const [name, source] of files) {
    const body = untilAborted(recycling(readRecycled(source)), signal)
    try {
      found.set(name, await describeFile(name, body))
    } catch (error) {
      signal.throwIfAborted()
      throw asSnapError(error, 'E_SOURCE', source.name)
    }
  }
  return found
}

/** Compares the points of a shard on the server with those it should have. */
export async function comparePoints(
  content: ShardContent,
  shard: ShardName,
  options: ReadBackOptions,
): Promise<PointCounts> {
  const { tempDir, signal } = options
  const expected = await spoolShard(content.entries(signal), tempDir)
  try {
    const live = await openLive(shard, options)
    try {
      let counts = NO_POINTS
      for await (const key of compareShards(expected.files, live.files)) {
        signal.throwIfAborted()
        counts = addCounts(counts, key)
      }
      return counts
    } catch (error) {
      throw damagedLive(error, shard, options.server.name)
    } finally {
      await live.close()
    }
  } finally {
    await expected.close()
  }
}

/** Opens the files of a shard on the server for reading anywhere: those of a data directory where they are, others spooled. */
export async function openLive(shard: ShardName, options: ReadBackOptions): Promise<ShardFiles> {
  const { server, tempDir, signal } = options
  if (server.openShard !== undefined) return await server.openShard(shard.shardId, signal)
  const spoolLive = (entries: AsyncIterable<TarEntry>) => spoolShard(entries, tempDir)
  return await readLive(shard, options, () => readArriving(shard, options, spoolLive))
}

/** What was to be restored was read before: what cannot be read now is what the server has. */
function damagedLive(error: unknown, shard: ShardName, server: string): unknown {
  if (!isDamage(error)) return error
  const message = `${server}: shard ${describeShard(shard)}: what it holds cannot be read: ${error.message}`
  return new SnapError('E_DESTINATION', message, {
    cause: error,
    hint: 'it was damaged on the way or by the server: the restored database is not to be used',
  })
}

function isDamage(error: unknown): error is SnapError {
  if (!(error instanceof SnapError)) return false
  return error.code === 'E_CUT' || error.exitCode === EXIT_CODES.E_INTEGRITY
}

/** Reads the tar of a shard on the server; what arrives damaged may be right the next time. */
async function readArriving<T>(
  shard: ShardName,
  { server, signal }: ReadBackOptions,
  read: (entries: AsyncIterable<TarEntry>) => Promise<T>,
): Promise<T> {
  try {
    return await read(readShardTar(server.client.shardBackup(shard, signal), { signal }))
  } catch (error) {
    if (!isDamage(error)) throw error
    const message = `${server.name}: shard ${describeShard(shard)} arrived damaged: ${error.message}`
    throw new SnapError('E_SOURCE_DAMAGED', message, { cause: error, retryable: true })
  }
}

const READY_MS = 60_000
/** Waits in ms between looks at a shard that gives nothing; the last one repeats. */
const WAITS_MS = [50, 100, 200, 500, 1_000]
/** After so many looks the server is asked to open the shard again. */
const LOOKS_BEFORE_REOPEN = 5

/**
 * Reads a shard, again and again as long as the server has it closed: up to 1.9 it may do so for a moment after a restore,
 * and a snapshot that failed leaves it so until it is opened anew.
 */
async function readLive<T>(
  shard: ShardName,
  options: ReadBackOptions,
  read: () => Promise<T>,
): Promise<T> {
  const { server, attempts, readyWithin = READY_MS, signal } = options
  const deadline = performance.now() + readyWithin
  return await retryShard(
    shard,
    async () => {
      for (let look = 0; ; look++) {
        try {
          return await read()
        } catch (error) {
          if (!isClosed(error)) throw error
          if (performance.now() > deadline) throw unreadable(error, readyWithin)
        }
        await sleep(WAITS_MS[Math.min(look, WAITS_MS.length - 1)], undefined, { signal })
        if (look === LOOKS_BEFORE_REOPEN) {
          await reopenShard({ newShardId: shard.shardId }, { client: server.client, signal })
        }
      }
    },
    { attempts, signal },
  )
}

/** An empty answer, which the client says may pass. */
function isClosed(error: unknown): error is SnapError {
  return error instanceof SnapError && error.code === 'E_SOURCE' && error.retryable
}

function unreadable(error: SnapError, readyWithin: number): SnapError {
  const { hint } = error
  const message = `${error.message}, for ${readyWithin / 1000} s`
  return new SnapError('E_SOURCE', message, { cause: error, hint })
}
