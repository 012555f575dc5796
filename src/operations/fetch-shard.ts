import type { Client } from '../client/index.ts'
import { asSnapError, SnapError } from '../errors.ts'
import { packShardTar, readShardTar, tapShardTar } from '../tar/index.ts'
import { describeShard, type InspectedFile, inspectEntry, type ShardName } from './inspect.ts'
import { rewriteEntries } from './rewrite-entries.ts'
import type { Compression, SetWriter, StagedArchive } from './set-writer.ts'
import type { Throttle } from './throttle.ts'

/** Times from `start` to `end`, both inclusive, nanoseconds since the epoch. */
export interface ExactRange {
  readonly start: bigint
  readonly end: bigint
}

/** How shards are fetched. */
export interface FetchOptions {
  readonly client: Client
  /** The server or directory, for messages. */
  readonly from: string
  /** True if the server cuts a time range exactly by itself; else the whole shard is fetched and cut here. */
  readonly exactExport: boolean
  readonly range?: ExactRange | undefined
  readonly compression: Compression
  readonly tempDir: string
  readonly throttle: Throttle
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Fetches a shard and stores it in one pass, every entry checked while it goes by.
 * @throws SnapError `E_SOURCE_DAMAGED`, retryable, if what arrives is not a whole and sound shard
 */
export async function fetchShard(
  set: SetWriter,
  shard: ShardName,
  options: FetchOptions & { readonly signal: AbortSignal },
): Promise<StagedArchive> {
  const { client, range, tempDir, compression, throttle, signal } = options
  const body = requestShard(client, shard, options)
  const received = counted(sourceErrors(throttle(body, signal), options.from), options.onBytes)
  const files: InspectedFile[] = []
  const wanted =
    range && !options.exactExport ? cut(received, shard, { ...options, range }) : received
  const tar = tapShardTar(
    wanted,
    async (entry) => {
      files.push(await inspectEntry(entry, { shard, tempDir }))
    },
    { name: `shard ${describeShard(shard)}`, signal },
  )
  const checked = sourceErrors(tar, options.from)
  return await set.stageShard({ shard, tar: checked, compression }, () => files, signal)
}

function requestShard(
  client: Client,
  shard: ShardName,
  { range, exactExport, signal }: FetchOptions & { readonly signal: AbortSignal },
): AsyncIterable<Uint8Array> {
  if (range === undefined || !exactExport) return client.shardBackup(shard, signal)
  return client.shardExport({ ...shard, ...range }, signal)
}

function cut(
  received: AsyncIterable<Uint8Array>,
  shard: ShardName,
  { range, tempDir, signal }: FetchOptions & { readonly signal: AbortSignal },
): AsyncIterable<Uint8Array> {
  const entries = readShardTar(received, { name: `shard ${describeShard(shard)}`, signal })
  return packShardTar(rewriteEntries(entries, { filter: range, tempDir }))
}

/**
 * Tells whether a shard has files that changed after `since`, by asking for those alone and looking for a first one.
 * @param since nanoseconds since the epoch
 */
export async function hasChanged(
  { client, from }: Pick<FetchOptions, 'client' | 'from'>,
  { shard, since }: { readonly shard: ShardName; readonly since: bigint },
  signal: AbortSignal,
): Promise<boolean> {
  const body = sourceErrors(client.shardBackup({ ...shard, since }, signal), from)
  const name = `shard ${describeShard(shard)}`
  for await (const _ of readShardTar(body, { name, signal })) return true
  return false
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    onBytes?.(bytes)
    yield chunk
  }
}

const DAMAGE: ReadonlySet<string> = new Set(['E_CUT', 'E_FORMAT', 'E_INTEGRITY'])

/** Gives every failure of what a source sends the source's code: a cut or damaged answer may be right the next time. */
async function* sourceErrors(
  body: AsyncIterable<Uint8Array>,
  from: string,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    const failure = asSnapError(error, 'E_SOURCE', 'the source failed')
    if (!DAMAGE.has(failure.code)) throw failure
    throw damaged(failure, from)
  }
}

function damaged(failure: SnapError, from: string): SnapError {
  const message = failure.message.startsWith(from) ? failure.message : `${from}: ${failure.message}`
  return new SnapError('E_SOURCE_DAMAGED', message, {
    cause: failure,
    hint:
      failure.hint ??
      "the server's own file may be damaged, or the connection was cut: see its log",
    retryable: true,
  })
}
