import type { OpenShard } from '../datadir/index.ts'
import type { SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import type { SidecarData } from '../portable/sidecar.ts'
import type { ExactRange } from './exact-range.ts'
import type { ShardName } from './inspect.ts'
import type { Selection } from './selection.ts'
import type { SetScope } from './set-scope.ts'
import type { Throttle } from './throttle.ts'

/** What a source knows of itself. */
export interface SourceMetastore {
  readonly data: Data
  /** The metastore as the source has it. */
  readonly metaBytes: Uint8Array
  /** The server, for the catalog. */
  readonly host: string | undefined
  /** What the source itself holds; left out if that is everything. */
  readonly scope?: SetScope | undefined
  /** Shards that can be read. */
  readonly present: ReadonlySet<bigint>
  /** Shards that should be there by the metastore and are not. */
  readonly absent: ReadonlySet<bigint>
}

/** What of a shard is asked for. */
export interface ShardRequest {
  readonly shard: ShardName
  readonly range?: ExactRange | undefined
  /** Only files that changed after it, nanoseconds since the epoch; servers alone know of it. */
  readonly since?: bigint | undefined
}

/** The tar of a shard. */
export interface ShardTar {
  /** Chunks may change when the next is asked for. */
  readonly body: AsyncIterable<Uint8Array>
  /** True if it holds exactly the points of the range that was asked for; false if it may hold all. */
  readonly isCut: boolean
  /** True if the stream fails unless its source says that it was complete. */
  readonly isComplete: boolean
  /** After its end: the state of the shard that it is of, if its source knows. */
  readonly state?: () => ShardState | undefined
}

/** Digests of the files of a shard (docs/protocol.md). */
export interface ShardState {
  /** Equal ones: the same files, unchanged. */
  readonly state: string
  /** Equal ones: files with the same names and sizes. */
  readonly shape: string
}

/** How the files of a shard are opened. */
export interface OpenShardOptions {
  /** Gets what cannot be read where it is. */
  readonly tempDir: string
  readonly throttle: Throttle
  /** Told of the bytes that came over the wire so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal: AbortSignal
}

/** The files of a shard by name, open for reading anywhere: TSM files and their tombstones. */
export type ShardFiles = OpenShard

/** Where shards come from: a server, a data directory, or a backup. */
export interface ShardSource {
  /** For people: a host, a path, a set. */
  readonly name: string
  /**
   * Reads the metastore and finds out which of the shards are there.
   * @throws SnapError `E_NOTHING_MATCHED` if something that is selected by name is not there
   */
  readMetastore(selection: Selection, signal: AbortSignal): Promise<SourceMetastore>
  /** Reads a shard, or a part of it, as one stream. */
  readShard(request: ShardRequest, signal: AbortSignal): ShardTar
  /** Opens the files of a shard. Those of a range may be cut to it. */
  openShard(request: ShardRequest, options: OpenShardOptions): Promise<ShardFiles>
  /** Returns what the source knows of all points of a shard without reading them; only backups know. */
  knownData?(shard: ShardName, signal: AbortSignal): Promise<SidecarData | undefined>
  /** Reads the states of all selected shards, by id; undefined, or left out, where the source does not know them. */
  readStates?(
    selection: Selection,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<bigint, ShardState> | undefined>
  /** Returns how many bytes the files of shards are now, by id; left out where the source does not see them. */
  readSizes?(
    ids: readonly bigint[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<bigint, number> | undefined>
  /** Tells whether the source no longer wants to have a shard that it could not give. */
  wasDropped(shard: ShardName, signal: AbortSignal): Promise<boolean>
  /** Returns damage that was found in what the source gave as the source's failure. */
  damage(found: SnapError): SnapError
  /** Acknowledged points that the source itself has lost so far, one line each. */
  losses(): readonly string[]
}
