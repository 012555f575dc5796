import { SnapError } from '../errors.ts'
import type { ListedShard } from '../meta/index.ts'
import type { SidecarData } from '../portable/sidecar.ts'
import { describeData } from './describe-archive.ts'
import { type DiffWish, planDiff, type ShardGroupPair } from './diff-plan.ts'
import { DiffTally, type MeasurementDifference } from './diff-tally.ts'
import { mapParallel } from './parallel.ts'
import { shardName } from './plan-shards.ts'
import { noProgress, type Progress } from './progress.ts'
import { openFiles, readPoints } from './read-points.ts'
import { comparePoints } from './restore-compare.ts'
import type { KeepKey } from './series-selection.ts'
import type { ShardFiles, ShardSource } from './shard-source.ts'
import { sumFiles } from './shard-sums.ts'
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
 * fingerprints are known and equal are not read, and where one side knows, the other adds up its points before any are compared.
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
    const known = await knownData(pair, within)
    if (known.left === undefined || !isSameData(known.left, known.right)) {
      return await comparePair(pair, known, { ...within, tally })
    }
    addEqual(pair, known.left, { tally, progress })
    return true
  })
  const known = pairs.filter((_, i) => same[i])
  await mapParallel(known, { jobs, signal }, (pair, stop) =>
    findSeries(pair, { ...run, tally, signal: stop }),
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

/** What is known of all points of a pair's one shard on each side, as far as it is exact. */
interface KnownData {
  readonly left?: SidecarData | undefined
  readonly right?: SidecarData | undefined
}

async function knownData(
  pair: ShardGroupPair,
  { left, right, keepKey, range, signal }: DiffRun,
): Promise<KnownData> {
  const [mine, theirs] = [pair.left[0], pair.right[0]]
  if (pair.left.length + pair.right.length !== 2 || !mine || !theirs) return {}
  if (range !== undefined || keepKey !== undefined) return {}
  const of = async (source: ShardSource, listed: ListedShard) => {
    const data = await source.knownData?.(shardName(listed), signal)
    return data?.exact && data.otherMeasurements === undefined ? data : undefined
  }
  return { left: await of(left, mine), right: await of(right, theirs) }
}

function isSameData(a: SidecarData, b: SidecarData | undefined): boolean {
  return b?.exact === true && b.fingerprint === a.fingerprint && b.points === a.points
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

type PairRun = DiffRun & { readonly tally: DiffTally }

/** Compares a pair point by point, unless the fingerprint of one side, and of the files of the other, tell that they are the same. */
async function comparePair(pair: ShardGroupPair, known: KnownData, run: PairRun): Promise<boolean> {
  const started = performance.now()
  const shard = labelOf(pair)
  run.progress({ type: 'shardStart', shard })
  const left = await openSide(pair.left, run.left, run)
  try {
    const right = await openSide(pair.right, run.right, run)
    try {
      const [data, others] = known.left ? [known.left, right] : [known.right, left]
      const isOneSided = known.left === undefined || known.right === undefined
      if (data !== undefined && isOneSided && isSameData(data, await others.data())) {
        addEqual(pair, data, run)
        return true
      }
      const counts = { points: 0, bytes: left.bytes + right.bytes }
      for await (const key of comparePoints(left.points(), right.points())) {
        counts.points += key.expected + key.extra
        run.tally.add(pair, key)
      }
      const durationMs = performance.now() - started
      run.progress({ type: 'shardDone', shard, ...counts, durationMs })
      return false
    } finally {
      await right.close()
    }
  } finally {
    await left.close()
  }
}

/** Finds which series that seem to be on one side only are in a pair of shards that are the same. */
async function findSeries(pair: ShardGroupPair, run: PairRun): Promise<void> {
  const { tally, left, right } = run
  if (!tally.hasOneSided(pair)) return
  // A backup need not be fetched.
  const isStored = left.knownData !== undefined
  const { points, close } = isStored
    ? await openSide(pair.left, left, run)
    : await openSide(pair.right, right, run)
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
  const data = async () => await sumOpened(opened, run.signal)
  return { points: () => readPoints(opened, options), data, bytes, close }
}

/** Adds up the points of a shard that is open; undefined where that fails, as reading its points will say why. */
async function sumOpened(
  [shard]: readonly ShardFiles[],
  signal: AbortSignal,
): Promise<SidecarData | undefined> {
  if (shard === undefined) return undefined
  try {
    return describeData(await sumFiles(shard.files, signal))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SnapError) return undefined
    throw error
  }
}

/** The shard that stands for a pair where people see it. */
function labelOf({ database, retentionPolicy, left, right }: ShardGroupPair) {
  return { database, retentionPolicy, shardId: (left[0] ?? right[0])?.shard.id ?? 0n }
}
