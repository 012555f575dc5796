import type { Data } from '../meta/index.ts'
import type { Catalog } from './catalog.ts'
import type { ListedSet } from './listing.ts'
import type { Manifest, ManifestEntry } from './manifest.ts'

/** One set, read and checked: manifest, metastore and, if it is ours, catalog. */
export interface BackupSet extends ListedSet {
  readonly manifest: Manifest
  readonly meta: Data
  /** The metastore as it was stored. */
  readonly metaBytes: Uint8Array
  /** Only of our own sets. */
  readonly catalog: Catalog | undefined
  /** The archives to restore from, one for each shard. */
  readonly entries: readonly ManifestEntry[]
  /** Of a set of influxd: what older sets hold of its shards too, newest first. */
  readonly older: readonly ManifestEntry[]
  /** Shards whose archive is not there: the set cannot be restored whole. */
  readonly missing: readonly ManifestEntry[]
  /** Shards that had not changed when the set was made, and that no older set holds as they were. */
  readonly unheld: readonly bigint[]
}
