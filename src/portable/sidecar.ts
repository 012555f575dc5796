import * as v from 'valibot'
import type { ArchiveIndex } from './archive-writer.ts'
import { bigintAsText, decodeJson, natural, sha256Text, timeText, uint64Text } from './json.ts'

/** One file in the tar of a shard. */
export interface SidecarFile {
  /** Base name, such as `000000001-000000001.tsm`. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Bytes of the tar before it. */
  readonly offset?: number | undefined
  /** RFC 3339. */
  readonly modified?: string | undefined
  /** Series keys with fields; TSM files only, as are the times. */
  readonly keys?: number | undefined
  /** Nanoseconds since the epoch of the first and the last point. */
  readonly minTime?: bigint | undefined
  readonly maxTime?: bigint | undefined
}

/** What some points are in numbers (docs/formats/fingerprint.md). */
export interface SidecarTotals {
  /** Series with a point, fields of series with a point, and values. */
  readonly series: number
  readonly keys: number
  readonly points: number
  /** Nanoseconds since the epoch of the first and the last point; not there without points. */
  readonly minTime?: bigint | undefined
  readonly maxTime?: bigint | undefined
  /** 32 lower-case hexadecimal digits. */
  readonly fingerprint: string
}

/** The points of one measurement. */
export interface SidecarMeasurement extends SidecarTotals {
  /** Its name; bytes that are no UTF-8 stand as U+FFFD. */
  readonly measurement: string
  /** Its name in hexadecimal digits, if it is no UTF-8. */
  readonly measurementHex?: string | undefined
}

/** The points of a shard. */
export interface SidecarData extends SidecarTotals {
  /** True if the numbers are those of what influxd would return. */
  readonly exact: boolean
  /** Why they are not. */
  readonly reason?: string | undefined
  /** In the order of the bytes of their names. */
  readonly measurements: readonly SidecarMeasurement[]
  /** The measurements that have no entry of their own, together. */
  readonly otherMeasurements?: SidecarTotals | undefined
}

/** Describes one shard archive. Sets that share the archive share this file. Keys of later versions are passed over. */
export interface Sidecar {
  readonly shardId: bigint
  readonly database: string
  readonly retentionPolicy: string
  readonly archive: {
    readonly name: string
    /** Bytes on disk. */
    readonly size: number
    /** Lower-case hex, of the bytes on disk. */
    readonly sha256: string
    /** Bytes of the tar; what the manifest calls `size`. */
    readonly tarSize: number
    readonly tarSha256?: string | undefined
    /** True if each of its blocks is a gzip member of its own. */
    readonly members?: boolean | undefined
  }
  readonly files: readonly SidecarFile[]
  /** Its points; not there if the backup was told not to look at them. */
  readonly data?: SidecarData | undefined
  /** Where a block of the archive begins, in bytes: in the tar and on disk. Ascending. */
  readonly seekPoints: readonly (readonly [tarOffset: number, gzOffset: number])[]
  /** CRC-32 of each of these blocks in the tar: what is read from the middle can be checked. */
  readonly blockCrcs?: readonly number[] | undefined
}

const SCHEMA = 'snap/sidecar/1'

function isAscending(points: Sidecar['seekPoints']): boolean {
  let [tarBefore, gzipBefore] = [-1, -1]
  for (const [tar, gzip] of points) {
    if (tar <= tarBefore || gzip <= gzipBefore) return false
    tarBefore = tar
    gzipBefore = gzip
  }
  return true
}

const totals = {
  series: natural,
  keys: natural,
  points: natural,
  minTime: v.optional(timeText),
  maxTime: v.optional(timeText),
  fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'expected a fingerprint in hex')),
}

const dataSchema: v.GenericSchema<unknown, SidecarData> = v.object({
  ...totals,
  exact: v.boolean(),
  reason: v.optional(v.string()),
  measurements: v.array(
    v.object({ measurement: v.string(), measurementHex: v.optional(v.string()), ...totals }),
  ),
  otherMeasurements: v.optional(v.object(totals)),
})

const sidecarSchema: v.GenericSchema<unknown, Sidecar> = v.object({
  schema: v.literal(SCHEMA),
  shardId: uint64Text,
  database: v.string(),
  retentionPolicy: v.string(),
  archive: v.object({
    name: v.string(),
    size: natural,
    sha256: sha256Text,
    tarSize: natural,
    tarSha256: v.optional(sha256Text),
    members: v.optional(v.boolean()),
  }),
  files: v.array(
    v.object({
      name: v.string(),
      size: natural,
      offset: v.optional(natural),
      modified: v.optional(v.pipe(v.string(), v.isoTimestamp())),
      keys: v.optional(natural),
      minTime: v.optional(timeText),
      maxTime: v.optional(timeText),
    }),
  ),
  data: v.optional(dataSchema),
  seekPoints: v.pipe(
    v.array(v.tuple([natural, natural])),
    v.check((points) => isAscending(points), 'expected ascending seek points'),
  ),
  blockCrcs: v.optional(v.array(v.pipe(natural, v.maxValue(0xffff_ffff)))),
})

/** Returns what it takes to read the archive of a sidecar from the middle. */
export function archiveIndex({
  archive,
  seekPoints,
  blockCrcs,
}: Pick<Sidecar, 'archive' | 'seekPoints' | 'blockCrcs'>): ArchiveIndex {
  const { tarSize, size: gzSize, members } = archive
  return { tarSize, gzSize, members, seekPoints, blockCrcs }
}

/** Encodes a sidecar as one line of JSON. */
export function encodeSidecar(sidecar: Sidecar): Uint8Array {
  return Buffer.from(`${JSON.stringify({ schema: SCHEMA, ...sidecar }, bigintAsText)}\n`)
}

/**
 * Decodes a sidecar. It carries no hash of itself: the catalogs of its sets do.
 * @param what names the bytes in messages
 * @throws SnapError `E_FORMAT`
 */
export function decodeSidecar(bytes: Uint8Array, what = 'sidecar'): Sidecar {
  return decodeJson(bytes, sidecarSchema, what)
}
