import { SnapError } from '../errors.ts'
import type { FieldPoints } from '../formats/points.ts'
import type { ListedShard } from '../meta/index.ts'
import { describeShard } from './inspect.ts'
import { checkContested } from './merge-contested.ts'
import {
  compare,
  each,
  isWanted,
  look,
  type MergePiece,
  type MergeShardOptions,
} from './merge-look.ts'
import type { MergeCounts, MergedField, MergePart } from './merge-points.ts'
import { hasFreeGeneration, type KeyBlock, uploadPoints } from './merge-upload.ts'
import { shardName } from './plan-shards.ts'
import { openLive } from './readback.ts'
import type { WrongPoints } from './select-check.ts'
import { sendPoints } from './send-points.ts'
import type { ShardFiles } from './shard-source.ts'

/** What became of a piece. */
export interface MergedPiece extends MergeCounts {
  /** How points were written: as files, over HTTP, or not at all. */
  readonly via: 'upload' | 'write' | 'none'
  /** Bytes that were sent. */
  readonly bytes: number
  /** Points that were to win, and that queries return otherwise although the files have them. */
  readonly overruled: WrongPoints | undefined
}

/** Values from which on files are uploaded: fewer are written sooner than a shard is closed and opened. */
const MIN_UPLOAD = 20_000
/** A shard whose time is over by so much takes writes only by way of exception, in ms. */
const COLD_AFTER_MS = 60 * 60 * 1000
const NANOSECONDS_PER_MS = 1_000_000n

/**
 * Merges points into a live shard. The shard is read first and only what it lacks, or what shall win, is sent; one genuine point
 * of each field of each measurement goes over HTTP before everything else: it shows whether types fit, and makes indexes
 * of tsi1 know what is uploaded. Afterwards the shard is read again, and what is still missing is sent again: a server
 * ends an upload that was cut on the way as it ends any other. Where the backup wins, queries have to return it.
 * @throws SnapError `E_DESTINATION`
 */
export async function mergeShard(
  piece: MergePiece,
  options: MergeShardOptions,
): Promise<MergedPiece> {
  const { attempts, server, progress } = options
  const first = await mergeOnce(piece, options)
  let last = first
  let { bytes } = first
  for (let attempt = 2; last.bytes > 0; attempt++) {
    last = await mergeOnce(piece, options, attempt > attempts)
    bytes += last.bytes
    if (last.missing === 0) break
    const what = `shard ${describeShard(shardName(piece.live))} lacked ${last.missing} points that were merged into it`
    if (last.bytes === 0) {
      throw new SnapError('E_DESTINATION', `${server.name}: ${what}`, {
        hint: "look at the server's log, and run the same again",
      })
    }
    progress({ type: 'note', level: 'warning', message: `${what}: they were sent again` })
  }
  if (options.dryRun || options.onConflict !== 'backup') return { ...first, bytes }
  const { overruled } = last.isLast ? last : await mergeOnce(piece, options, true)
  return { ...first, bytes, overruled }
}

/** Looks at the live shard and sends what it lacks, if that is anything at all and this is not the last look. */
async function mergeOnce(piece: MergePiece, options: MergeShardOptions, isLast = false) {
  const { dryRun, server, signal, attempts, tempDir, onConflict } = options
  const live = await openLive(shardName(piece.live), { server, tempDir, attempts, signal })
  try {
    const { counts, touches, wanted, missing } = await look(piece, live, options)
    const found = { ...counts, missing, via: 'none', bytes: 0, overruled: undefined } as const
    if (dryRun) return { ...found, isLast }
    if (isLast || wanted === 0) {
      const isToWin = onConflict === 'backup'
      const overruled = isToWin ? await checkContested(piece, live, options) : undefined
      return { ...found, isLast: true, overruled }
    }
    await touch(touches, options)
    const via = viaFor(piece.live, { counts, live }, options)
    return { ...found, isLast, via, bytes: await deliver(piece, live, { ...options, via }) }
  } finally {
    await live.close()
  }
}

async function touch(
  touches: readonly FieldPoints[],
  { writer, jobs, attempts, throttle, progress, signal }: MergeShardOptions,
): Promise<void> {
  // What cannot be said is told of when all points are written.
  await sendPoints(each(touches), { writer, jobs, attempts, throttle, progress, signal })
}

/** Tells whether the time of a group is over. */
export function isCold({ endTime }: ListedShard['group']): boolean {
  return endTime < BigInt(Date.now() - COLD_AFTER_MS) * NANOSECONDS_PER_MS
}

function viaFor(
  { group }: ListedShard,
  { counts, live }: { readonly counts: MergeCounts; readonly live: ShardFiles },
  { allowWritePause, byFile = false }: MergeShardOptions,
): 'upload' | 'write' {
  const mayUpload = (isCold(group) || allowWritePause) && hasFreeGeneration(live.files.keys())
  return mayUpload && (byFile || counts.added >= MIN_UPLOAD) ? 'upload' : 'write'
}

/**
 * Writes what is wanted. Files hold only points that live lacks: those are right in whatever order the server takes its files.
 * What shall win over a live point goes over HTTP.
 */
async function deliver(
  piece: MergePiece,
  live: ShardFiles,
  options: MergeShardOptions & { readonly via: 'upload' | 'write' },
): Promise<number> {
  const { via, server, onConflict } = options
  const parts = (isHere: (part: MergePart) => boolean) =>
    partsOf(compare(piece, live, options), isHere)
  if (via === 'write')
    return await sendPoints(
      parts((part) => isWanted(part, options)),
      options,
    )
  const uploaded = await uploadPoints(blocksOf(parts(({ kind }) => kind === 'added')), {
    ...options,
    ...{ server, shard: shardName(piece.live), fileNames: live.files.keys() },
  })
  if (onConflict !== 'backup') return uploaded
  return (
    uploaded +
    (await sendPoints(
      parts(({ kind }) => kind === 'conflicting'),
      options,
    ))
  )
}

async function* partsOf(
  fields: AsyncIterable<MergedField>,
  isHere: (part: MergePart) => boolean,
): AsyncGenerator<FieldPoints, void, undefined> {
  for await (const { key, type, parts } of fields) {
    const blocks = async function* () {
      for await (const part of parts) if (isHere(part)) yield part.block
    }
    yield { key, type, blocks: blocks() }
  }
}

async function* blocksOf(
  fields: AsyncIterable<FieldPoints>,
): AsyncGenerator<KeyBlock, void, undefined> {
  for await (const { key, blocks } of fields) {
    for await (const block of blocks) yield { key, block }
  }
}
