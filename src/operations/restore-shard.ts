import { SnapError } from '../errors.ts'
import { parseEntryName } from '../tar/index.ts'
import { atDestination } from './at-destination.ts'
import { describeShard } from './inspect.ts'
import type { Progress } from './progress.ts'
import { comparePoints, isSame, listShard, type ReadBackOptions, readBack } from './readback.ts'
import { isEqual, type ShardContent } from './restore-content.ts'
import { retryShard } from './retry-shard.ts'
import type { OpenServer } from './server.ts'
import type { Throttle } from './throttle.ts'
import {
  describeFile,
  reopenShard,
  type SentFile,
  type UploadTarget,
  uploadShard,
} from './upload-shard.ts'

/** How a shard is restored. */
export interface RestoreShardOptions extends ReadBackOptions {
  readonly server: Pick<OpenServer, 'client' | 'name' | 'openShard' | 'directory'>
  readonly throttle: Throttle
  /** Read the shard back and compare. */
  readonly readBack: boolean
  /** What may have been sent to the shard before: nothing as it is new, some of it, or all of it. */
  readonly before: 'nothing' | 'some' | 'all'
  /** Told of the bytes sent so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly progress?: Progress | undefined
}

/** What became of a shard. */
export interface RestoredContent {
  /** Bytes of its files. */
  readonly bytes: number
  /** True if the server had all of it already. */
  readonly found: boolean
  /** Points that the server has and the backup has not: something writes to the restored database. */
  readonly extra: number
}

/**
 * Uploads a shard and reads it back. An upload that broke off is tried again, never blindly: the server is made to drop what
 * it has left, then looked at, and no file is sent over another one.
 * @throws SnapError `E_DESTINATION`, or `E_INTEGRITY` if an archive turns out damaged on the way
 */
export async function restoreShard(
  content: ShardContent,
  target: UploadTarget,
  options: RestoreShardOptions,
): Promise<RestoredContent> {
  const { server, progress, signal } = options
  // Inside this process no line breaks: what fails once fails again.
  const attempts = server.directory === undefined ? options.attempts : 1
  let { before } = options
  const restore = async () => {
    // What is read is not tried again by itself: all of it is, from the look on.
    const once = { ...options, before, attempts: 1 }
    const found = await findBefore(content, target, once)
    before = 'some'
    return found ?? (await send(content, target, once))
  }
  const run = () => atDestination(restore)
  return await retryShard(content, run, { attempts, progress, signal })
}

async function send(
  content: ShardContent,
  target: UploadTarget,
  options: RestoreShardOptions,
): Promise<RestoredContent> {
  const { server, throttle, onBytes, signal } = options
  const upload = { server, throttle, onBytes, signal }
  const sent = await repeatable(() => uploadShard(content, target, upload))
  const { staged } = content
  // What was staged was read back then.
  const isProved = async () =>
    staged && (await server.directory?.holdsStaged(target.newShardId, staged.files))
  const found =
    options.readBack && !(await isProved())
      ? await readBack(content, { shard: placeOf(target), sent }, options)
      : undefined
  return { bytes: sizeOf(sent), found: false, extra: found?.extra ?? 0 }
}

/**
 * Looks at a shard before anything is sent to it: a server replaces a file by one of the same name without a word, and one
 * of somebody who writes already would be lost. Returns what the shard holds if that is all there is to restore, and undefined if
 * the files can be sent.
 */
async function findBefore(
  content: ShardContent,
  target: UploadTarget,
  options: RestoreShardOptions,
): Promise<RestoredContent | undefined> {
  const { server, before, signal } = options
  const shard = placeOf(target)
  if (before === 'some') {
    await repeatable(() => reopenShard(target, { client: server.client, signal }))
  }
  const live = await listShard(shard, options)
  if (live.size === 0 && before === 'nothing') return undefined
  const files = await describeContent(content, signal)
  const bytes = sizeOf(files)
  if (isSame(files, live)) return { bytes, found: true, extra: 0 }
  if (live.size === 0) return undefined
  const { missing, different, extra } = await comparePoints(content, shard, options)
  if (missing + different === 0) return { bytes, found: true, extra }
  const ours = new Map(files.map((file) => [file.name, file]))
  const other = [...live.values()].find((file) => !isEqual(file, ours.get(file.name)))
  if (other === undefined) return undefined
  throw new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(shard)} holds ${other.name}, which is not of this restore`,
    { hint: 'something writes to the new database: restore under another name with --newdb' },
  )
}

async function describeContent(content: ShardContent, signal: AbortSignal): Promise<SentFile[]> {
  const files: SentFile[] = []
  for await (const entry of content.entries(signal)) {
    files.push(await describeFile(parseEntryName(entry.name).file, entry.body))
  }
  return files
}

function placeOf({ database, retentionPolicy, newShardId }: UploadTarget) {
  return { database, retentionPolicy, shardId: newShardId }
}

function sizeOf(files: readonly SentFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}

/** What the line or the server broke off. */
const BROKEN: ReadonlySet<string> = new Set(['E_DESTINATION', 'E_TIMEOUT', 'E_CUT'])

/** Runs an upload, and says that it may be tried again if it broke off: here, nobody does so without looking first. */
async function repeatable<T>(upload: () => Promise<T>): Promise<T> {
  try {
    return await upload()
  } catch (error) {
    if (!(error instanceof SnapError) || !BROKEN.has(error.code)) throw error
    const { code, message, hint } = error
    throw new SnapError(code, message, { cause: error, hint, retryable: true })
  }
}
