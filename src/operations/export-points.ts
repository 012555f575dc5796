import { SnapError } from '../errors.ts'
import { exportParquet } from './export-parquet.ts'
import { type ExportedShard, ExportRun } from './export-run.ts'
import type { LeftOutPoints, MeasurementPoints } from './export-tally.ts'
import { type ExportPlace, ExportTarget, type WrittenExport } from './export-target.ts'
import { exportText } from './export-text.ts'
import type { LeftOutShard } from './fetched-shards.ts'
import type { ShardName } from './inspect.ts'
import { planShards } from './plan-shards.ts'
import { noProgress } from './progress.ts'
import type { ReadPointsOptions } from './read-points.ts'
import type { Selection } from './selection.ts'
import { keepSeries, type SeriesSelection } from './series-selection.ts'
import { createThrottle } from './throttle.ts'

/** The formats that points can be written in. */
export type PointFormat = 'lp' | 'csv' | 'parquet'

/** What to export, and how. */
export interface ExportPointsOptions
  extends Omit<ReadPointsOptions, 'keepKey' | 'newest' | 'throttle'> {
  readonly place: ExportPlace
  readonly format: PointFormat
  readonly selection: Selection
  readonly series: SeriesSelection
  /** Compress line protocol or CSV. */
  readonly gzip: boolean
  /** Begin line protocol with the statements that make databases and policies. */
  readonly ddl: boolean
  /** Only so many points of each field of each series, the newest; shards then come newest first. Not for Parquet. */
  readonly last?: number | undefined
  /** Bytes per second that are fetched. */
  readonly limitRate?: number | undefined
}

/** What an export of points did. */
export interface ExportPointsResult {
  /** None for a stream. */
  readonly files: readonly WrittenExport[]
  /** Bytes of all files, or of the stream. */
  readonly bytes: number
  readonly points: number
  readonly measurements: readonly MeasurementPoints[]
  /** Shards with points of the selection. */
  readonly shards: readonly ExportedShard[]
  /** Shards that the server dropped while the export ran. */
  readonly dropped: readonly LeftOutShard[]
  /** Shards of the metastore that the source does not have. */
  readonly absent: readonly ShardName[]
  /** Acknowledged points that the source itself has lost, one line each. */
  readonly lost: readonly string[]
  readonly leftOut: readonly LeftOutPoints[]
}

/**
 * Writes the selected points, exactly and each once, policy by policy and in each shard by shard in the order of time.
 * Files get their names when all are whole; after a failure none is left.
 * @throws SnapError `E_NOTHING_MATCHED`, `E_USAGE` for several measurements in one Parquet file, `E_TARGET_EXISTS`, `E_LOCKED`,
 * `E_DESTINATION`, and what the source throws
 */
export async function exportPoints(options: ExportPointsOptions): Promise<ExportPointsResult> {
  const { source, place, format, gzip, ddl, selection, range, series, signal } = options
  const progress = options.progress ?? noProgress
  const plan = await planShards({ source, selection, range, signal })
  progress({ type: 'plan', task: 'export', shards: plan.shards.length })
  const keepKey = keepSeries(series)
  const throttle = createThrottle(options.limitRate)
  const run = new ExportRun(plan.shards, { ...options, keepKey, throttle })
  const target = new ExportTarget(place, { gzip })
  try {
    const output = { place, target }
    const written =
      format === 'parquet'
        ? await exportParquet(run, output)
        : await exportText(run, output, { format, gzip, ddl })
    if (run.tally.points === 0) throw nothingExported(source.name, run.tally.leftOut())
    const names = new Set(written.map(({ name }) => name))
    await target.publish((name) => names.has(name))
    return {
      ...{ points: run.tally.points, measurements: run.tally.measurements() },
      files: place.kind === 'stream' ? [] : written,
      bytes: written.reduce((sum, { size }) => sum + size, 0),
      ...{ shards: run.shards, dropped: run.dropped, absent: plan.missing },
      ...{ lost: source.losses(), leftOut: run.tally.leftOut() },
    }
  } catch (error) {
    await target.discard()
    throw error
  }
}

function nothingExported(source: string, leftOut: readonly LeftOutPoints[]): SnapError {
  const [first] = leftOut
  const message = `${source} has no points in this selection`
  if (first === undefined) return new SnapError('E_NOTHING_MATCHED', message)
  const where = `${first.database}.${first.retentionPolicy}.${first.measurement}`
  return new SnapError('E_NOTHING_MATCHED', `${message} that the format can say`, {
    hint: `left out of ${where}: ${first.reason}; try another format`,
  })
}
