import { HttpClient, LineWriter, shownUrl } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { ddlStatements } from '../formats/line-protocol-header.ts'
import type { FieldPoints, PolicyName } from '../formats/points.ts'
import { type CountDifference, checkCounts } from './drill-counts.ts'
import { ExportCheckpoint } from './export-checkpoint.ts'
import { type ExportedShard, ExportRun } from './export-run.ts'
import { type LeftOutPoints, type MeasurementPoints, measurementName } from './export-tally.ts'
import type { LeftOutShard } from './fetched-shards.ts'
import { FieldCounts } from './field-counts.ts'
import type { ShardName } from './inspect.ts'
import { planShards } from './plan-shards.ts'
import { noProgress } from './progress.ts'
import type { ReadPointsOptions } from './read-points.ts'
import type { Selection } from './selection.ts'
import { sendPoints } from './send-points.ts'
import { keepSeries, type SeriesSelection } from './series-selection.ts'
import { createThrottle } from './throttle.ts'
import { apiOf, endpointOf, type WritePlace } from './write-endpoint.ts'

/** What to send, where, and how. */
export interface ExportUrlOptions extends Omit<ReadPointsOptions, 'keepKey' | 'throttle'> {
  readonly to: WritePlace
  readonly selection: Selection
  readonly series: SeriesSelection
  /** Make the databases and policies first; only 1.x can be asked for that. */
  readonly ddl: boolean
  /** Requests under way at the same time. */
  readonly jobs: number
  /** Bytes of line protocol per second. */
  readonly limitRate?: number | undefined
  /** Ask the server afterwards to count what it has; only 1.x can be asked. */
  readonly checkCounts: boolean
  /** Where it is kept how far the export came. */
  readonly stateDir: string
  /** Go on where the last such export stopped. */
  readonly resume: boolean
}

/** What an export to another database did. */
export interface ExportUrlResult {
  /** Of line protocol, before compression; without what an earlier run had sent. */
  readonly bytes: number
  /** Values that arrived. */
  readonly points: number
  /** Measurements that the server counted afterwards, and fields of which it has fewer points than arrived; only if asked for. */
  readonly counted?: number | undefined
  readonly fewer?: readonly CountDifference[] | undefined
  readonly measurements: readonly MeasurementPoints[]
  readonly shards: readonly ExportedShard[]
  /** Shards that an earlier run had sent. */
  readonly resumed: readonly ShardName[]
  /** As of an export into files. */
  readonly dropped: readonly LeftOutShard[]
  readonly absent: readonly ShardName[]
  readonly lost: readonly string[]
  readonly leftOut: readonly LeftOutPoints[]
}

/**
 * Sends the selected points to another database, shard by shard in the order of time. What was interrupted can be gone on
 * with: points that are sent twice are written over themselves.
 * @throws SnapError `E_NOTHING_MATCHED`, `E_USAGE`, `E_DESTINATION`, and what the source throws
 */
export async function exportToUrl(options: ExportUrlOptions): Promise<ExportUrlResult> {
  const { source, to, selection, range, series, signal, ddl } = options
  const progress = options.progress ?? noProgress
  const plan = await planShards({ source, selection, range, signal })
  progress({ type: 'plan', task: 'export', shards: plan.shards.length })
  const throttle = createThrottle(options.limitRate)
  const read = { ...options, keepKey: keepSeries(series), throttle: createThrottle(undefined) }
  const run = new ExportRun(plan.shards, read)
  if (ddl || options.checkCounts) refuseOthers(to)
  if (ddl) await makeDatabases(run, to, signal)
  const counts = new FieldCounts()
  const identity = [source.name, shownUrl(to.url), to.into, selection, range ?? null, series]
  const checkpoint = await ExportCheckpoint.open(options.stateDir, identity, options.resume)
  const resumed: ShardName[] = []
  let bytes = 0
  for (const policy of run.policies) {
    const writer = new LineWriter(endpointOf(to, policy))
    for (const shard of policy.shards) {
      if (checkpoint.isFinished(shard)) {
        resumed.push(shard)
        progress({ type: 'shardSkipped', shard, reason: 'an earlier run has sent it' })
        continue
      }
      bytes += await sendShard(run, shard, { ...options, writer, checkpoint, throttle, counts })
    }
  }
  if (run.tally.points === 0 && resumed.length === 0) {
    throw new SnapError('E_NOTHING_MATCHED', `${source.name} has no points in this selection`)
  }
  await checkpoint.remove()
  const checked = options.checkCounts ? await countAgain(counts, to, signal) : {}
  return {
    ...checked,
    ...{ bytes, points: run.tally.points, measurements: run.tally.measurements() },
    ...{ shards: run.shards, resumed, dropped: run.dropped, absent: plan.missing },
    ...{ lost: source.losses(), leftOut: run.tally.leftOut() },
  }
}

async function sendShard(
  run: ExportRun,
  shard: ShardName,
  options: ExportUrlOptions & {
    readonly writer: LineWriter
    readonly checkpoint: ExportCheckpoint
    readonly throttle: ReturnType<typeof createThrottle>
    readonly counts: FieldCounts
  },
): Promise<number> {
  const { writer, jobs, attempts, throttle, signal, checkpoint, counts } = options
  const reading = await run.openShard(shard, checkpoint.keyOf(shard))
  try {
    const bytes = await sendPoints(countFields(reading.points, shard, counts), {
      ...{ writer, jobs, attempts, throttle, signal, progress: run.progress },
      onBytes: (sent) => run.progress({ type: 'shardProgress', shard, bytes: sent }),
      onKey: (key) => checkpoint.reach(shard, key),
      onLeftOut: ({ key, reason, points: some }) => {
        const name = measurementName(shard, key)
        run.tally.add(name, -(some ?? 0))
        if (some !== undefined) counts.add(shard, key, { type: 'float', points: -some })
        run.tally.leaveOut(name, reason, some === undefined ? { keys: 1 } : { points: some })
      },
    })
    await checkpoint.finish(shard)
    reading.finish(bytes)
    return bytes
  } catch (error) {
    // Why it stopped is more to say than that it cannot be gone on with.
    await checkpoint.save().catch(() => {})
    throw error
  } finally {
    await reading.close()
  }
}

/** Passes points on and counts them by fields. */
async function* countFields(
  points: AsyncIterable<FieldPoints>,
  policy: PolicyName,
  counts: FieldCounts,
): AsyncGenerator<FieldPoints, void, undefined> {
  for await (const { key, type, blocks } of points) {
    const counted = async function* () {
      for await (const block of blocks) {
        counts.add(policy, key, { type, points: block.times.length })
        yield block
      }
    }
    yield { key, type, blocks: counted() }
  }
}

function refuseOthers({ url, into }: WritePlace): void {
  if (apiOf(url) === 'v1' && into === undefined) return
  throw new SnapError(
    'E_USAGE',
    '--ddl and --check-counts go with names as at the source in InfluxDB 1.x alone',
  )
}

function httpOf({ url, user, password }: WritePlace): HttpClient {
  return new HttpClient({ url: shownUrl(url).replace(/\/write$/, ''), user, password })
}

/** Asks the server to count. It may have had more points before; fewer than arrived are lost. */
async function countAgain({ fields }: FieldCounts, to: WritePlace, signal: AbortSignal) {
  const { measurements, differences } = await checkCounts(httpOf(to), fields, signal)
  return {
    counted: measurements,
    fewer: differences.filter(({ expected, got }) => got < expected),
  }
}

async function makeDatabases(run: ExportRun, to: WritePlace, signal: AbortSignal): Promise<void> {
  const http = httpOf(to)
  for (const statement of ddlStatements(run.policies)) {
    try {
      await http.query(statement, { signal })
    } catch (error) {
      if (!(error instanceof SnapError)) throw error
      const { message, hint } = error
      throw new SnapError('E_DESTINATION', message, { cause: error, hint })
    }
  }
}
