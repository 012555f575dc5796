import * as v from 'valibot'
import { decodeJson, natural, sha256Text, timeText, uint64Text } from './json.ts'
import { checkSeal, sealJson } from './seal.ts'

/** One file of a set. */
export interface CatalogFile {
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  /** Of an encrypted archive or sidecar: what is in it, for the catalogs of later sets that share it. */
  readonly plain?: { readonly size: number; readonly sha256: string } | undefined
}

/** A shard that is not in the set although it was selected. */
export interface SkippedShard {
  readonly shardId: bigint
  readonly database: string
  readonly retentionPolicy: string
  readonly reason: string
  /** True if the shard's data should be in the set; false if there was nothing to take, such as a shard dropped meanwhile. */
  readonly lost: boolean
}

/** What was asked to be in a set. A field left out, or an empty list, means everything. */
export interface SetSelection {
  readonly databases?: readonly string[] | undefined
  readonly retentionPolicy?: string | undefined
  readonly shardIds?: readonly bigint[] | undefined
  /** Left out without `databases`. A field left out means `_internal`, as it does for every command. */
  readonly excludeDatabases?: readonly string[] | undefined
  /** Nanoseconds since the epoch: only shards that changed after it. */
  readonly since?: bigint | undefined
  readonly measurements?: readonly string[] | undefined
  /** Series with one of the values for each of the keys. */
  readonly tags?: readonly { readonly key: string; readonly value: string }[] | undefined
}

/** A shard that is not in the set because it had not changed. */
export interface UnchangedShard {
  readonly shardId: bigint
  /** It had not changed after this time, nanoseconds since the epoch. */
  readonly since: bigint
}

/**
 * What an archive is proof of: enough to find out, without reading it, whether its shard is still as it was when it was taken.
 * Whatever of it the source could not say is left out.
 */
export interface ShardEvidence {
  /** Hash over the names, sizes and contents of the files in the archive, in hex. */
  readonly content: string
  /** How many TSM files there are, their bytes, and the bytes of their tombstones. */
  readonly tsmFiles: number
  readonly tsmBytes: number
  readonly tombstoneBytes: number
  /** Nanoseconds since the epoch by the server's clock: what changed on it later has a newer file. */
  readonly since?: bigint | undefined
  /** Digests that our own service gave of the shard's directory together with the archive's files, in hex. */
  readonly state?: string | undefined
  readonly shape?: string | undefined
}

/** The points of an archive in numbers, as its sidecar has them (docs/formats/fingerprint.md). */
export interface CatalogData {
  readonly series: number
  readonly points: number
  /** True if the numbers are those of what influxd would return. */
  readonly exact: boolean
}

/** A shard of a set, told in the clear: what lists and the next backup need even where the rest is encrypted. */
export interface CatalogShard {
  readonly shardId: bigint
  readonly database: string
  readonly retentionPolicy: string
  /** The shard group's times in nanoseconds since the epoch: `start` is in it, `end` is not. */
  readonly start: bigint
  readonly end: bigint
  /** The archive's name; that of an older set if the shard had not changed since. */
  readonly archive: string
  /** Bytes of the tar before compression. */
  readonly tarSize: number
  /** True if the source said, or showed, that the archive holds all there was. */
  readonly complete: boolean
  /** Only of whole shards. */
  readonly evidence?: ShardEvidence | undefined
  /** Not if its points were not looked at, and not in catalogs of early versions or the clear ones of encrypted sets. */
  readonly data?: CatalogData | undefined
}

/** What snap knows of a set beyond influxd's manifest. Keys of later versions are passed over. */
export interface Catalog {
  readonly set: string
  readonly tool: { readonly name: string; readonly version: string }
  /** When the set was begun, RFC 3339. */
  readonly created: string
  /** How long it took from then until its files were whole, milliseconds. Not in catalogs of early versions. */
  readonly durationMs?: number | undefined
  /** `full`: whole shards. `range`: only points of {@link Catalog.range}. The two never share a target. */
  readonly kind: 'full' | 'range'
  /** Nanoseconds since the epoch, both in the range. Not exact: whole files that overlap it. */
  readonly range?:
    | { readonly start: bigint; readonly end: bigint; readonly exact: boolean }
    | undefined
  readonly server: {
    /** The metastore's ClusterID: all sets of a target have the same. */
    readonly clusterId: bigint
    readonly host?: string | undefined
    readonly version?: string | undefined
  }
  readonly selection: SetSelection
  /** The newest set that this one shares archives with; none if all of them are its own. */
  readonly parent?: string | undefined
  /** `confirmed` if it is known that nothing acknowledged before the run is missing. */
  readonly completeness: 'confirmed' | 'unconfirmed'
  readonly completenessReason?: string | undefined
  readonly skipped: readonly SkippedShard[]
  /** Only of sets made with `since`: their shards that older sets hold, or should. */
  readonly unchanged?: readonly UnchangedShard[] | undefined
  /** The shards in the set. Not in catalogs of early versions. */
  readonly shards?: readonly CatalogShard[] | undefined
  /**
   * Only of the clear catalog of an encrypted set (docs/formats/encrypted-set.md): names of those whom it is encrypted to, as
   * good as hashes. Its `files` are the stored ones, named as they are stored.
   */
  readonly encryption?:
    | { readonly format: 'age'; readonly recipients: readonly string[] }
    | undefined
  /** Every file of the set but the catalog itself, the manifest and shared archives included. */
  readonly files: readonly CatalogFile[]
}

const SCHEMA = 'snap/catalog/1'

const skippedSchema = v.object({
  shardId: uint64Text,
  database: v.string(),
  retentionPolicy: v.string(),
  reason: v.string(),
  lost: v.boolean(),
})

const evidenceSchema: v.GenericSchema<unknown, ShardEvidence> = v.object({
  content: sha256Text,
  tsmFiles: natural,
  tsmBytes: natural,
  tombstoneBytes: natural,
  since: v.optional(timeText),
  state: v.optional(sha256Text),
  shape: v.optional(sha256Text),
})

/** One file of a set. */
export const catalogFileSchema: v.GenericSchema<unknown, CatalogFile> = v.object({
  name: v.string(),
  size: natural,
  sha256: sha256Text,
  plain: v.optional(v.object({ size: natural, sha256: sha256Text })),
})

/** What is said of a shard in a catalog, and in what a run that died left of one. */
export const catalogShardSchema: v.GenericSchema<unknown, CatalogShard> = v.object({
  shardId: uint64Text,
  database: v.string(),
  retentionPolicy: v.string(),
  start: timeText,
  end: timeText,
  archive: v.string(),
  tarSize: natural,
  complete: v.boolean(),
  evidence: v.optional(evidenceSchema),
  data: v.optional(v.object({ series: natural, points: natural, exact: v.boolean() })),
})

const catalogSchema: v.GenericSchema<unknown, Catalog> = v.object({
  schema: v.literal(SCHEMA),
  set: v.string(),
  tool: v.object({ name: v.string(), version: v.string() }),
  created: v.pipe(v.string(), v.isoTimestamp()),
  durationMs: v.optional(natural),
  kind: v.picklist(['full', 'range']),
  range: v.optional(v.object({ start: timeText, end: timeText, exact: v.boolean() })),
  server: v.object({
    clusterId: uint64Text,
    host: v.optional(v.string()),
    version: v.optional(v.string()),
  }),
  selection: v.object({
    databases: v.optional(v.array(v.string())),
    retentionPolicy: v.optional(v.string()),
    shardIds: v.optional(v.array(uint64Text)),
    excludeDatabases: v.optional(v.array(v.string())),
    since: v.optional(timeText),
    measurements: v.optional(v.array(v.string())),
    tags: v.optional(v.array(v.object({ key: v.string(), value: v.string() }))),
  }),
  parent: v.optional(v.string()),
  completeness: v.picklist(['confirmed', 'unconfirmed']),
  completenessReason: v.optional(v.string()),
  skipped: v.array(skippedSchema),
  unchanged: v.optional(v.array(v.object({ shardId: uint64Text, since: timeText }))),
  shards: v.optional(v.array(catalogShardSchema)),
  encryption: v.optional(v.object({ format: v.literal('age'), recipients: v.array(v.string()) })),
  files: v.array(catalogFileSchema),
})

/** Encodes a catalog: indented JSON whose last key is the hash of the catalog's own bytes. */
export function encodeCatalog(catalog: Catalog): Uint8Array {
  return Buffer.concat([...catalogPieces(catalog)])
}

/** As {@link encodeCatalog}, in pieces. */
export function catalogPieces(catalog: Catalog): Iterable<Uint8Array> {
  return sealJson({ schema: SCHEMA, ...catalog })
}

/**
 * Decodes a catalog after its hash: no flipped bit, wherever it is, goes unseen.
 * @param what names the bytes in messages
 * @throws SnapError `E_INTEGRITY` if the hash is not that of the bytes, `E_FORMAT` if they are no catalog of this version
 */
export function decodeCatalog(bytes: Uint8Array, what = 'catalog'): Catalog {
  checkSeal(bytes, what)
  return decodeJson(bytes, catalogSchema, what)
}
