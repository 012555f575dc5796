import * as v from 'valibot'
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
  /** Lower-case hex. */
  readonly sha256?: string | undefined
  /** Series keys with fields; TSM files only, as are the times. */
  readonly keys?: number | undefined
  /** Nanoseconds since the epoch of the first and the last point. */
  readonly minTime?: bigint | undefined
  readonly maxTime?: bigint | undefined
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
  }
  readonly files: readonly SidecarFile[]
  /** Where a block of the archive begins, in bytes: in the tar and on disk. Ascending. */
  readonly seekPoints: readonly (readonly [tarOffset: number, gzOffset: number])[]
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
  }),
  files: v.array(
    v.object({
      name: v.string(),
      size: natural,
      offset: v.optional(natural),
      modified: v.optional(v.pipe(v.string(), v.isoTimestamp())),
      sha256: v.optional(sha256Text),
      keys: v.optional(natural),
      minTime: v.optional(timeText),
      maxTime: v.optional(timeText),
    }),
  ),
  seekPoints: v.pipe(
    v.array(v.tuple([natural, natural])),
    v.check((points) => isAscending(points), 'expected ascending seek points'),
  ),
})

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
