import { isUtf8 } from 'node:buffer'
import { type ErrorCode, recode, SnapError } from '../errors.ts'
import type { ArchiveSummary } from '../portable/archive-writer.ts'
import type {
  Sidecar,
  SidecarData,
  SidecarMeasurement,
  SidecarTotals,
} from '../portable/sidecar.ts'
import type { Staged } from '../storage/index.ts'
import { formatFingerprint } from '../tsm/fingerprint.ts'
import type { MeasurementTotals, PointTotals } from '../tsm/measurement-sums.ts'
import type { InspectedFile, ShardName } from './inspect.ts'
import { filesIn } from './open-archive.ts'
import type { OpenFiles, ShardData } from './shard-sums.ts'

/** An archive that was written, and what was seen in it. */
export interface WrittenArchive {
  readonly name: string
  readonly archive: ArchiveSummary
  readonly files: readonly InspectedFile[]
}

/** Returns the sidecar of an archive, without its points. */
export function describeArchive(
  shard: ShardName,
  { name, archive, files }: WrittenArchive,
): Sidecar {
  const { gzSize: size, sha256, tarSize, seekPoints, blockCrcs, members } = archive
  return {
    ...shard,
    archive: { name, size, sha256, tarSize, members },
    files: files.map(({ name: file, size: fileSize, offset, mtime, tsm }) => ({
      name: file,
      size: fileSize,
      offset,
      modified: mtime.toISOString(),
      ...(tsm && { keys: tsm.keys, minTime: tsm.minTime, maxTime: tsm.maxTime }),
    })),
    seekPoints,
    blockCrcs,
  }
}

/** Returns the points of a shard as its sidecar has them. */
export function describeData({ all, measurements, others, inexact }: ShardData): SidecarData {
  return {
    exact: inexact === undefined,
    ...(inexact !== undefined && { reason: inexact }),
    ...describeTotals(all),
    measurements: measurements.map(describeMeasurement),
    ...(others && { otherMeasurements: describeTotals(others) }),
  }
}

function describeMeasurement(totals: MeasurementTotals): SidecarMeasurement {
  const name = Buffer.from(totals.measurement)
  const hex = isUtf8(name) ? {} : { measurementHex: name.toString('hex') }
  return { measurement: name.toString(), ...hex, ...describeTotals(totals) }
}

function describeTotals({ series, keys, points, range, fingerprint }: PointTotals): SidecarTotals {
  return { series, keys, points, ...range, fingerprint: formatFingerprint(fingerprint) }
}

/** Returns how to open the files of an archive that was staged and has no name yet. */
export function openStaged(
  staged: Staged,
  description: Sidecar,
  signal: AbortSignal | undefined,
): OpenFiles {
  return () => {
    const read = staged.read?.bind(staged)
    return read && filesIn(description, (range) => readAgain(read(range, signal)))
  }
}

const OF_SOURCES: readonly ErrorCode[] = ['E_INTEGRITY', 'E_SOURCE']

/** Reads what this run has just stored: if that cannot be had, it is not a backup that is at fault but the place. */
async function* readAgain(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks
  } catch (error) {
    const isPlace = error instanceof SnapError && OF_SOURCES.includes(error.code)
    throw isPlace ? recode(error, 'E_DESTINATION') : error
  }
}
