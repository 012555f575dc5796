import { expectHash } from '../io/hash-worker.ts'
import {
  packShardTar,
  readShardTar,
  type TarEntry,
  type TarEntryInput,
  tapShardTar,
} from '../tar/index.ts'
import { expectTsm } from '../tsm/check-tsm.ts'
import type { ExactRange } from './exact-range.ts'
import { describeShard, type InspectedFile, receiveEntry, type ShardName } from './inspect.ts'
import { rewriteEntries } from './rewrite-entries.ts'
import type { KeepKey } from './series-selection.ts'
import type { Compression, StagedArchive } from './set-parts.ts'
import type { SetWriter } from './set-writer.ts'
import type { ShardSource, ShardState } from './shard-source.ts'
import { ShardSums } from './shard-sums.ts'
import { counted, sourceErrors, sourceFailure } from './source-errors.ts'
import type { Throttle } from './throttle.ts'

/** How shards are fetched. */
export interface FetchOptions {
  readonly source: ShardSource
  /** Only the points of these times, exactly. */
  readonly range?: ExactRange | undefined
  /** Only the points of keys that this wants. */
  readonly keepKey?: KeepKey | undefined
  readonly compression: Compression
  /** Look at every point, and say in the sidecar what there is. Default true. */
  readonly fingerprint?: boolean | undefined
  readonly tempDir: string
  readonly throttle: Throttle
  readonly onBytes?: ((bytes: number) => void) | undefined
  /** Shards that are fetched with it, of about its size. Default 1: itself. */
  readonly fetched?: number | undefined
  /** Called when all of the shard has come. */
  readonly onReceived?: (() => void) | undefined
}

/** A shard that is stored. */
export interface FetchedArchive extends StagedArchive {
  /** True if its source said that this is all there was. */
  readonly isComplete: boolean
  /** The state of the shard that its files are of, if its source knows. */
  readonly state: ShardState | undefined
}

interface Wanted {
  readonly tar: AsyncIterable<Uint8Array>
  /** Bytes of its first file, of points that were chosen: mostly there is one. */
  readonly expected?: number | undefined
  readonly isComplete: boolean
  readonly state?: () => ShardState | undefined
}

type Fetch = FetchOptions & { readonly signal: AbortSignal }

/**
 * Fetches a shard and stores it in one pass, every entry checked while it goes by.
 * @returns undefined, and stores nothing, if points were to be chosen and none is left
 * @throws SnapError `E_SOURCE_DAMAGED`, retryable, if what arrives is not a whole and sound shard
 */
export async function fetchShard(
  set: SetWriter,
  shard: ShardName,
  options: Fetch,
): Promise<FetchedArchive | undefined> {
  const { source, tempDir, compression, signal } = options
  const wanted = await requestShard(shard, options)
  if (wanted === undefined) return undefined
  const files: InspectedFile[] = []
  const sums = options.fingerprint === false ? undefined : new ShardSums()
  const tar = tapShardTar(
    wanted.tar,
    async (entry) => {
      if (wanted.expected === undefined) expectMore(entry.size, options.fetched)
      const check = await receiveEntry(entry, { shard, tempDir, sums, hashed: true, signal })
      return async () => void files.push(await check())
    },
    { name: nameOf(shard), signal },
  )
  const toStage = { shard, tar: sourceErrors(tar, source), compression, expected: wanted.expected }
  const seen = () => ({ files, sums })
  const staged = await set.stageShard(toStage, seen, signal)
  return { ...staged, isComplete: wanted.isComplete, state: wanted.state?.() }
}

/** Has threads started in time, when the first file of a shard begins. */
function expectMore(size: number, shards = 1): void {
  expectHash(size)
  expectTsm(size * shards)
}

function nameOf(shard: ShardName): string {
  return `shard ${describeShard(shard)}`
}

/** Returns the tar as the source gives it, or one of the wanted points alone; undefined if there are none. */
async function requestShard(shard: ShardName, options: Fetch): Promise<Wanted | undefined> {
  const { source, range, keepKey, throttle, signal, onBytes, onReceived } = options
  const { body, isCut, isComplete, state } = source.readShard({ shard, range }, signal)
  const received = counted(sourceErrors(throttle(body, signal), source), onBytes, onReceived)
  if (range === undefined && keepKey === undefined) {
    return { tar: received, isComplete, ...(state && { state }) }
  }
  const entries = readShardTar(received, { name: nameOf(shard), signal })
  const wanted = isCut && keepKey === undefined ? entries : choose(entries, options)
  try {
    const { value: first, done } = await wanted.next()
    if (done) return undefined
    const tar = packShardTar(beginningWith(first, wanted))
    return { tar, expected: first.size, isComplete }
  } catch (error) {
    throw sourceFailure(error, source)
  }
}

function choose(
  entries: ReturnType<typeof readShardTar>,
  { range, keepKey, tempDir }: Fetch,
): ReturnType<typeof rewriteEntries> {
  return rewriteEntries(entries, { filter: { ...range, keepKey }, tempDir })
}

async function* beginningWith(
  first: TarEntryInput,
  rest: AsyncGenerator<TarEntryInput, void, undefined>,
): AsyncGenerator<TarEntryInput, void, undefined> {
  try {
    yield first
    yield* rest
  } finally {
    await rest.return()
  }
}

/** What is looked for in a shard. */
export interface ChangeProbe {
  readonly shard: ShardName
  /** Nanoseconds since the epoch. */
  readonly since: bigint
  /** Tells of a newer file that it is no change. */
  readonly isKnown?: ((file: Pick<TarEntry, 'name' | 'size' | 'mtime'>) => boolean) | undefined
}

/** Tells whether a shard has files that changed after `since`, by asking for those alone and looking for a first one. */
export async function hasChanged(
  source: ShardSource,
  { shard, since, isKnown = () => false }: ChangeProbe,
  signal: AbortSignal,
): Promise<boolean> {
  const body = sourceErrors(source.readShard({ shard, since }, signal).body, source)
  for await (const file of readShardTar(body, { name: nameOf(shard), signal })) {
    if (!isKnown(file)) return true
  }
  return false
}
