import { gzipSync } from 'node:zlib'
import { SnapError } from '../../src/errors.ts'
import { encodeData } from '../../src/meta/index.ts'
import { type PruneOptions, prune } from '../../src/operations/prune.ts'
import type { Catalog, ManifestEntry } from '../../src/portable/index.ts'
import {
  archiveName,
  catalogName,
  encodeCatalog,
  encodeManifest,
  encodeMetaFile,
  encodeSidecar,
  formatSetName,
  listSets,
  manifestName,
  metaName,
  parseFileName,
  readSet,
  sidecarName,
} from '../../src/portable/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { catalog, entry, manifest, sha256Of, sidecar, smallStore } from '../portable/samples.ts'

const DATABASES: Readonly<Record<string, string>> = { 1: 'db', 2: 'db', 3: 'other', 4: 'bare' }

/** The name of a set made so many hours after 1 January 2024. */
export function hour(hours: number): string {
  return formatSetName(new Date(Date.UTC(2024, 0, 1, hours)))
}

const nanoseconds = (hours: number) => BigInt(Date.UTC(2024, 0, 1, hours)) * 1_000_000n

/** Those of influxd are read, to find chains. */
const EMPTY_ARCHIVE = gzipSync(Buffer.alloc(1024))

/** A set to be made. */
export interface SampleSet {
  /** When, in hours after 1 January 2024. */
  readonly at: number
  /** Shards that it has archives of: 1 and 2 are of `db`, 3 of `other`, 4 of `bare`. */
  readonly own?: readonly number[]
  /** Shards whose archives are those of an older set, by when it was made. */
  readonly shared?: Readonly<Record<number, number>>
  /** Shards that had not changed since when. */
  readonly unchanged?: Readonly<Record<number, number>>
  readonly stock?: boolean
  readonly catalog?: Partial<Catalog>
}

function entriesOf({ at, own = [1, 2, 3], shared = {} }: SampleSet): ManifestEntry[] {
  const from = [...own.map((id) => [id, at]), ...Object.entries(shared)]
  return from.map(([id, made]) => {
    const database = DATABASES[Number(id)] ?? 'db'
    return entry(hour(Number(made)), BigInt(Number(id)), database)
  })
}

/** Puts a set into a store. */
export function putSet(store: MemoryStore, sample: SampleSet): void {
  const set = hour(sample.at)
  const entries = entriesOf(sample)
  const data = encodeData(smallStore())
  const files = store.files
  const names: string[] = []
  const put = (name: string, bytes: Uint8Array) => {
    names.push(name)
    if (name.startsWith(set)) files.set(name, bytes)
  }
  for (const found of entries) {
    put(found.fileName, sample.stock ? EMPTY_ARCHIVE : Buffer.from(`archive ${found.fileName}`))
    const owner = parseFileName(found.fileName)?.set ?? ''
    const described = sidecarName(owner, found.shardId)
    const isThere = owner === set || files.has(described)
    if (!sample.stock && isThere) put(described, encodeSidecar(sidecar(owner, found)))
  }
  put(metaName(set), encodeMetaFile(data))
  const stock = manifest(set, entries, data.length)
  if (sample.stock) {
    put(manifestName(set), encodeManifest(stock))
    return
  }
  put(manifestName(set), encodeManifest({ ...stock, catalog: catalogName(set) }))
  const unchanged = Object.entries(sample.unchanged ?? {}).map(([id, since]) => ({
    shardId: BigInt(id),
    since: nanoseconds(since),
  }))
  const listed = names.map((name) => {
    const bytes = files.get(name) ?? Buffer.from('gone')
    return { name, size: bytes.length, sha256: sha256Of(bytes) }
  })
  const facts = {
    created: new Date(Date.UTC(2024, 0, 1, sample.at)).toISOString(),
    completeness: 'confirmed',
    files: listed,
    ...(unchanged.length > 0 && { unchanged }),
  } as const
  files.set(catalogName(set), encodeCatalog({ ...catalog(set, facts), ...sample.catalog }))
}

/** A store with sets. */
export function storeOf(...samples: readonly SampleSet[]): MemoryStore {
  const store = new MemoryStore()
  for (const sample of samples) putSet(store, sample)
  return store
}

/** Prunes a store; without rules, all but the newest set goes. */
export async function pruned(store: MemoryStore, options: Partial<PruneOptions> = {}) {
  return await prune({
    ...{ store, keep: { last: 1 }, minSets: 1, databases: [], includeStock: false },
    ...{ confirm: true, now: new Date('2026-01-01') },
    signal: new AbortController().signal,
    ...options,
  })
}

/** What restoring from each set of a store would take, by its name; what is damaged fails. */
export async function restorables(store: MemoryStore) {
  const listing = await listSets(store)
  const found = new Map<string, unknown>()
  for (const listed of listing.sets) {
    const { entries, missing, unheld, catalog: read } = await readSet(listing, listed)
    for (const { name, size, sha256 } of read?.files ?? []) {
      const bytes = store.files.get(name)
      if (bytes?.length === size && sha256Of(bytes) === sha256) continue
      throw new SnapError('E_INTEGRITY', `${name} of ${listed.name} is not what it was`)
    }
    const archives = entries.map(({ fileName }) => [fileName, `${store.files.get(fileName)}`])
    found.set(listed.name, { archives, missing, unheld })
  }
  return found
}

/** The names of archives of a set. */
export function archives(at: number, ...ids: readonly number[]): string[] {
  return ids.map((id) => archiveName(hour(at), BigInt(id)))
}

/** A store that dies instead of deleting the n-th file, and at every call after it. */
export class DyingStore extends MemoryStore {
  readonly #lives: { left: number }

  constructor(files: Iterable<readonly [string, Uint8Array]>, deletes: number) {
    super(files)
    this.#lives = { left: deletes }
  }

  override async delete(name: string): Promise<void> {
    if (this.#lives.left === 0) throw new Error('killed')
    this.#lives.left -= 1
    await super.delete(name)
  }
}
