import type { CatalogFile } from '../portable/catalog.ts'
import type { SetListing } from '../portable/listing.ts'
import type { Store } from '../storage/index.ts'
import type { ShardName } from './inspect.ts'
import type { OpenedStore } from './opened-store.ts'
import type { ArchivePart } from './restorable.ts'
import type { Findings, Place } from './verify-findings.ts'

/** An archive to be verified. */
export interface ArchiveTask extends Place {
  readonly shard: ShardName
  readonly part: ArchivePart
  /** The sidecar that says what is in it, as the set's catalog lists it; sets of influxd have neither. */
  readonly sidecar?: CatalogFile | undefined
  /** There is no key to it: it can only be held to its hash. */
  readonly onlyHash?: boolean | undefined
}

/** One set, its small files verified. */
export interface FoundSet {
  readonly set: string
  readonly kind: 'snap' | 'stock'
  /** When it was begun, RFC 3339. */
  readonly time: string
  /** Undefined if manifest, metastore or catalog cannot be read: its archives are not known then. */
  readonly archives: readonly ArchiveTask[] | undefined
  /** Files that belong to it. */
  readonly files: ReadonlySet<string>
  /** True if it is encrypted and there is no key: stored files were held to their hashes. */
  readonly onlyHashes?: boolean | undefined
}

/** What verifying the sets of a target shares. */
export interface VerifyContext {
  readonly store: Store
  /** The same, to tell what in it is encrypted. */
  readonly opened: OpenedStore
  readonly listing: SetListing
  readonly findings: Findings
  /** Files that were as a catalog lists them, by their names: sets that share archives share sidecars. */
  readonly sound: Map<string, CatalogFile>
  readonly signal: AbortSignal
}

/** True of a file that was as another catalog lists it, which says the same of it. */
export function isSound({ sound }: VerifyContext, { name, size, sha256 }: CatalogFile): boolean {
  const seen = sound.get(name)
  return seen?.size === size && seen.sha256 === sha256
}
