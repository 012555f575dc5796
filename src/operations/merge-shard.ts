import { SnapError } from '../errors.ts'
import { describeShard } from './inspect.ts'
import { compare, type LookOptions, look, type MergePiece } from './merge-look.ts'
import type { MergeCounts, MergePart } from './merge-points.ts'
import { type MergeTarget, partsOf } from './merge-target.ts'
import { shardName } from './plan-shards.ts'
import type { Progress } from './progress.ts'
import type { WrongPoints } from './select-check.ts'
import type { ShardFiles } from './shard-source.ts'

/** How shards are merged. */
export interface MergeShardOptions extends LookOptions {
  readonly target: MergeTarget
  readonly dryRun: boolean
  /** Times that points are written in all. */
  readonly attempts: number
  readonly onBytes: (bytes: number) => void
  readonly progress: Progress
}

/** What became of a piece. */
export interface MergedPiece extends MergeCounts {
  /** Bytes that were written. */
  readonly bytes: number
  /** Points that were to win, and that queries return otherwise although the files have them. */
  readonly overruled: WrongPoints | undefined
}

/**
 * Merges points into a live shard. The shard is read first and only what it lacks, or what shall win, is written. Afterwards it is
 * read again, and what is still missing is written again: a server ends an upload that was cut on the way as it ends any other.
 * Where the backup wins, queries have to return it.
 * @throws SnapError `E_DESTINATION`
 */
export async function mergeShard(
  piece: MergePiece,
  options: MergeShardOptions,
): Promise<MergedPiece> {
  const { attempts, target, progress } = options
  const first = await mergeOnce(piece, options)
  let last = first
  let { bytes } = first
  for (let attempt = 2; last.bytes > 0; attempt++) {
    last = await mergeOnce(piece, options, attempt > attempts)
    bytes += last.bytes
    if (last.missing === 0) break
    const what = `shard ${describeShard(shardName(piece.live))} lacked ${last.missing} points that were merged into it`
    if (last.bytes === 0) {
      throw new SnapError('E_DESTINATION', `${target.name}: ${what}`, {
        hint: "look at the server's log, and run the same again",
      })
    }
    progress({ type: 'note', level: 'warning', message: `${what}: they were sent again` })
  }
  if (options.dryRun || options.onConflict !== 'backup') return { ...first, bytes }
  const { overruled } = last.isLast ? last : await mergeOnce(piece, options, true)
  return { ...first, bytes, overruled }
}

/** Looks at the live shard and writes what it lacks, if that is anything at all and this is not the last look. */
async function mergeOnce(piece: MergePiece, options: MergeShardOptions, isLast = false) {
  const { dryRun, target, onBytes, onConflict } = options
  const live = await target.openLive(shardName(piece.live))
  const all: ShardFiles[] = [live]
  try {
    for (const other of await piece.findOthers())
      all.unshift(await target.openLive(shardName(other)))
    const seen = await look(piece, all, options)
    const { counts, missing, wanted } = seen
    const found = { ...counts, missing, bytes: 0, overruled: undefined }
    if (dryRun) return { ...found, isLast }
    if (isLast || (wanted === 0 && !live.isUnfinished)) {
      const overruled = onConflict === 'backup' ? await live.check(piece, options) : undefined
      return { ...found, isLast: true, overruled }
    }
    const points = (isHere: (part: MergePart) => boolean) =>
      partsOf(compare(piece, all, options), isHere)
    const bytes = await live.write({ piece, look: seen, points, onBytes, options })
    return { ...found, isLast, bytes }
  } finally {
    for (const each of all) await each.close()
  }
}
