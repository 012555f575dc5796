import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash } from './check-archive.ts'
import type { InspectedFile } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type PlanEvent, type Progress } from './progress.ts'
import type { Restorable, RestorableShard } from './restorable.ts'
import { type ContentSize, type ShardContent, wholeContent } from './restore-content.ts'
import { type Loss, salvageShard } from './salvage.ts'
import { isStoredDamage } from './salvage-image.ts'
import { type Staging, stageablePart, stageShard } from './stage-shard.ts'

/** How stored shards are checked before they go anywhere. */
export interface CheckOptions {
  readonly store: Store
  readonly jobs: number
  readonly tempDir: string
  /** Gets the files of what is checked, where that is as well as to read them again later. */
  readonly staging?: Staging | undefined
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/**
 * Checks what is stored before it goes anywhere: by hash where a catalog has one, else by reading all of it.
 * Returns what its files come to, if all of it was read.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkShard(
  shard: RestorableShard,
  { store, tempDir, signal }: Omit<CheckOptions, 'jobs' | 'progress'>,
  onBytes?: (bytes: number) => void,
): Promise<ContentSize | undefined> {
  const read: InspectedFile[] = []
  let before = 0
  for (const part of shard.parts) {
    let last = 0
    const within = {
      ...{ tempDir, signal },
      onBytes: (bytes: number) => {
        last = bytes
        onBytes?.(before + bytes)
      },
    }
    if (part.stored === undefined) read.push(...(await checkArchive(shard, part, within)))
    else await checkStoredHash(store, part, within)
    before += last
  }
  if (read.length === 0) return undefined
  const size = sizeOf(read)
  return shard.isUnion ? { ...size, about: true } : size
}

/** Of files that come twice under one name the first counts, as in a restore. */
function sizeOf(read: readonly InspectedFile[]): ContentSize {
  const files = new Map(read.toReversed().map((file) => [file.name, file]))
  const kept = [...files.values()].filter(({ kind }) => kind !== 'tombstone')
  const bytes = kept.reduce((sum, { size }) => sum + size, 0)
  return { bytes, about: kept.length < files.size }
}

/** What the catalog says of an archive that was checked by its hash. */
function notedSize(
  { shardId, database }: RestorableShard,
  { backup }: Restorable,
): ContentSize | undefined {
  const shards = 'catalog' in backup ? backup.catalog?.shards : undefined
  const noted = shards?.find((shard) => shard.shardId === shardId && shard.database === database)
  if (noted?.evidence === undefined) return undefined
  const { tsmBytes, tombstoneBytes } = noted.evidence
  return { bytes: tsmBytes, about: tombstoneBytes > 0 }
}

/** Bytes that are read of a shard: as stored where it is only hashed, of the tar where all of it is read. */
function sizeToRead({ parts }: RestorableShard): number | undefined {
  const sizes = parts.map(({ stored, tarSize }) => stored?.size ?? tarSize)
  return sizes.reduce<number | undefined>(
    (sum, size) => (sum === undefined || size === undefined ? undefined : sum + size),
    0,
  )
}

function planOf(shards: readonly RestorableShard[]): PlanEvent {
  const sizes = shards.map(sizeToRead)
  const known = sizes.filter((size) => size !== undefined)
  const bytes = known.length < sizes.length ? undefined : known.reduce((sum, size) => sum + size, 0)
  return { type: 'plan', task: 'check', shards: shards.length, bytes, isStep: true }
}

function shardProgress(stored: RestorableShard, progress: Progress) {
  const { database, retentionPolicy, shardId } = stored
  const shard = { database, retentionPolicy, shardId }
  const started = performance.now()
  let bytes = 0
  progress({ type: 'shardStart', shard, bytes: sizeToRead(stored) })
  return {
    onBytes: (read: number) => {
      bytes = read
      progress({ type: 'shardProgress', shard, bytes })
    },
    done: () =>
      progress({ type: 'shardDone', shard, bytes, durationMs: performance.now() - started }),
  }
}

/** What was found in stored shards. */
export interface CheckedShards {
  /** What to restore of each, by its id in the backup. */
  readonly contents: ReadonlyMap<bigint, ShardContent>
  /** What of them is damaged; empty unless they were to be salvaged. */
  readonly losses: readonly Loss[]
}

/**
 * Checks shards. With `salvage` damaged ones are no error: what is left of them is found out.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkShards(
  shards: readonly RestorableShard[],
  options: CheckOptions & { readonly backup: Restorable; readonly salvage: boolean },
): Promise<CheckedShards> {
  const { jobs, signal, salvage, tempDir, staging, progress = noProgress } = options
  if (shards.length > 0) progress(planOf(shards))
  const checked = await mapParallel(shards, { jobs, signal }, async (shard, stop) => {
    const within = { ...options, signal: stop }
    const { onBytes, done } = shardProgress(shard, progress)
    try {
      const noted = notedSize(shard, options.backup)
      const part = stageablePart(shard)
      if (staging !== undefined && part !== undefined) {
        const how = { ...within, staging, size: noted, onBytes }
        return { content: await stageShard(shard, part, how), losses: [] }
      }
      const size = (await checkShard(shard, within, onBytes)) ?? noted
      return { content: wholeContent(shard, tempDir, size), losses: [] }
    } catch (error) {
      if (!salvage || !isStoredDamage(error)) throw error
      return await salvageShard(shard, within)
    } finally {
      done()
    }
  })
  const contents = checked.flatMap(({ content }) => content ?? [])
  return {
    contents: new Map(contents.map((content) => [content.shardId, content])),
    losses: checked.flatMap(({ losses }) => losses),
  }
}
