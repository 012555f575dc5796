import type { ListedShard } from '../meta/index.ts'
import type { SidecarData } from '../portable/sidecar.ts'
import { type DiffWish, planDiff, type ShardGroupPair } from './diff-plan.ts'
import { DiffTally, type MeasurementDifference } from './diff-tally.ts'
import { mapParallel } from './parallel.ts'
import { shardName } from './plan-shards.ts'
import { noProgress, type Progress } from './progress.ts'
import { openFiles, readPoints } from './read-points.ts'
import { comparePoints } from './restore-compare.ts'
import type { KeepKey } from './series-selection.ts'
import type { ShardFiles, ShardSource } from './shard-source.ts'
import { createThrottle } from './throttle.ts'

/** What to compare, and how. */
export interface DiffOptions extends DiffWish {
  /** Pairs of shards compared at the same time. */
  readonly jobs: number
  /** Times a shard is read in all. */
  readonly attempts: number
  /** Bytes per second that are fetched. */
  readonly limitRate?: number | undefined
  /** Gets the shards of servers while they are compared. */
  readonly tempDir: string
  readonly progress?: Progress | undefined
}

/** How two sides compare. */
export interface DiffResult {
  /** For people: a host, a path, a set. */
  readonly left: string
  readonly right: string
  /** Every measurement with points, those without a difference too. */
  readonly measurements: readonly MeasurementDifference[]
  /** Shards of both sides that were compared point by point, and those whose fingerprints told that they are equal. */
  readonly compared: number
  readonly known: number
  /** What a side itself has lost or was made without, one line each: the comparison lacks it. */
  readonly lost: readonly string[]
}

/**
 * Compares the points of two sources: what the second has more, less and with other values than the first. Shards whose
 * fingerprints are known and equal are not read.
 * @throws SnapError `E_NOTHING_MATCHED` if neither side has any of the selection, and what the sources throw
 */
export async function diff(options: DiffOptions): Promise<DiffResult> {
  const { left, right, jobs, signal } = options
  const progress = options.progress ?? noProgress
  const { pairs, range, keepKey } = await planDiff(options)
  progress({ type: 'plan', task: 'diff', shards: pairs.length })
  const throttle = createThrottle(options.limitRate)
  const run = { ...options, range, keepKey, progress, throttle }
  const tally = new DiffTally()
  const same = await mapParallel(pairs, { jobs, signal }, async (pair, stop) => {
    const within = { ...run, signal: stop }
    const data = await knownToBeSame(pair, within)
    if (data === undefined) await comparePair(pair, tally, within)
    else addEqual(pair, data, { tally, progress })
    return data !== undefined
  })
  const known = pairs.filter((_, i) => same[i])
  await mapParallel(known, { jobs, signal }, (pair, stop) =>
    findSeries(pair, tally, { ...run, signal: stop }),
  )
  return {
    ...{ left: left.name, right: right.name, measurements: tally.measurements() },
    ...{ compared: pairs.length - known.length, known: known.length },
    lost: [...left.losses(), ...right.losses()],
  }
}

type DiffRun = DiffOptions & {
  readonly keepKey: KeepKey | undefined
  readonly progress: Progress
  readonly throttle: ReturnType<typeof createThrottle>
}

/** Returns what both sides know of their one shard, if it says that the points of both are the same. */
async function knownToBeSame(
  pair: ShardGroupPair,
  { left, right, keepKey, range, signal }: DiffRun,
): Promise<SidecarData | undefined> {
  const [mine, theirs] = [pair.left[0], pair.right[0]]
  if (pair.left.length + pair.right.length !== 2 || !mine || !theirs) return undefined
  if (range !== undefined || keepKey !== undefined) return undefined
  const a = await left.knownData?.(shardName(mine), signal)
  if (!a?.exact || a.otherMeasurements !== undefined) return undefined
  const b = await right.knownData?.(shardName(theirs), signal)
  return b?.exact && b.fingerprint === a.fingerprint && b.points === a.points ? a : undefined
}

function addEqual(
  pair: ShardGroupPair,
  { measurements }: SidecarData,
  { tally, progress }: { readonly tally: DiffTally; readonly progress: Progress },
): void {
  for (const { measurement, measurementHex, points } of measurements) {
    const name = measurementHex === undefined ? measurement : Buffer.from(measurementHex, 'hex')
    tally.addEqual(pair, Buffer.from(name), points)
  }
  const shard = labelOf(pair)
  progress({ type: 'shardSkipped', shard, reason: 'equal by its fingerprint' })
}

async function comparePair(pair: ShardGroupPair, tally: DiffTally, run: DiffRun): Promise<void> {
  const started = performance.now()
  const shard = labelOf(pair)
  run.progress({ type: 'shardStart', shard })
  const counts = { points: 0, bytes: 0 }
  const left = await openSide(pair.left, run.left, run)
  try {
    const right = await openSide(pair.right, run.right, run)
    try {
      for await (const key of comparePoints(left.points(), right.points())) {
        counts.points += key.expected + key.extra
        tally.add(pair, key)
      }
      counts.bytes = left.bytes + right.bytes
    } finally {
      await right.close()
    }
  } finally {
    await left.close()
  }
  const durationMs = performance.now() - started
  run.progress({ type: 'shardDone', shard, ...counts, durationMs })
}

/** Finds which series that seem to be on one side only are in a pair of shards that are the same. */
async function findSeries(pair: ShardGroupPair, tally: DiffTally, run: DiffRun): Promise<void> {
  if (!tally.hasOneSided(pair)) return
  const { points, close } = await openSide(pair.left, run.left, run)
  try {
    for await (const { key, blocks } of points()) {
      if (!tally.isOneSided(pair, key)) continue
      const { done } = await blocks.next()
      if (done !== true) tally.addSeries(pair, key)
    }
  } finally {
    await close()
  }
}

/** Opens the shards of one side of a pair; one that was dropped meanwhile has no points any more. */
async function openSide(shards: readonly ListedShard[], source: ShardSource, run: DiffRun) {
  const opened: ShardFiles[] = []
  const options = { ...run, source, progress: noProgress }
  const close = async () => {
    for (const files of opened) await files.close()
  }
  try {
    for (const listed of shards) {
      const files = await openFiles(shardName(listed), options)
      if (files !== undefined) opened.push(files)
    }
  } catch (error) {
    await close()
    throw error
  }
  const sizes = opened.flatMap(({ files }) => [...files.values()].map(({ size }) => size))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  return { points: () => readPoints(opened, options), bytes, close }
}

/** The shard that stands for a pair where people see it. */
function labelOf({ database, retentionPolicy, left, right }: ShardGroupPair) {
  return { database, retentionPolicy, shardId: (left[0] ?? right[0])?.shard.id ?? 0n }
}
