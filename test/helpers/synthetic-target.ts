import { createHash } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { SnapError } from '../../src/errors.ts'
import { encodeData } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import type { CatalogShard } from '../../src/portable/catalog.ts'
import type { ManifestEntry } from '../../src/portable/index.ts'
import {
  archiveName,
  catalogName,
  encodeCatalog,
  encodeManifest,
  encodeMetaFile,
  formatSetName,
  manifestName,
  metaName,
  parseFileName,
  sidecarName,
} from '../../src/portable/index.ts'
import type { StoredObject } from '../../src/storage/index.ts'
import { MemoryStore } from './memory-store.ts'

const DAY = 86_400_000_000_000n
const CLUSTER_ID = 7n
const HASH = '5'.repeat(64)
/** What S3 lists with one request. */
const PAGE = 1000

/** How large a target is. */
export interface TargetSize {
  readonly shards: number
  /** One a night: the first has all shards, each later one those that changed, and names older archives for the others. */
  readonly sets: number
  /** Shards that changed from night to night. */
  readonly changed: number
  /** Bytes of an archive. */
  readonly archiveSize: number
}

/** How often a store was asked. */
export interface Requests {
  /** Pages of a listing. */
  lists: number
  reads: number
  stats: number
  writes: number
  deletes: number
}

/**
 * A target of incremental sets that says how often it is asked. Archives and sidecars have a size and no bytes; manifests,
 * catalogs and metastores are made when they are read.
 */
export class SyntheticTarget extends MemoryStore {
  readonly requests: Requests = { lists: 0, reads: 0, stats: 0, writes: 0, deletes: 0 }
  /** Bytes that were read of manifests, catalogs and metastores. */
  metadata = 0
  /** The most memory that was in use when something was read, bytes. */
  peakMemory = 0
  readonly #size: TargetSize
  readonly #sizes = new Map<string, number>()

  constructor(size: TargetSize) {
    super()
    this.#size = size
    for (let night = 0; night < size.sets; night++) {
      const set = setName(night)
      for (let id = 1; id <= size.shards; id++) {
        if (madeAt(size, id, night) !== night) continue
        this.#sizes.set(archiveName(set, BigInt(id)), size.archiveSize)
        this.#sizes.set(sidecarName(set, BigInt(id)), 4096)
      }
      const { manifest, meta, catalog } = filesOf(size, night)
      this.#sizes.set(manifestName(set), manifest.length)
      this.#sizes.set(metaName(set), meta.length)
      this.#sizes.set(catalogName(set), catalog.length)
    }
  }

  /** Names with sizes. */
  get objects(): ReadonlyMap<string, number> {
    return this.#sizes
  }

  override async *list(): AsyncGenerator<StoredObject> {
    let listed = 0
    for (const [name, size] of this.#sizes) {
      if (listed % PAGE === 0) this.requests.lists += 1
      listed += 1
      yield { name, size, modified: new Date(0) }
    }
  }

  override async stat(name: string): Promise<StoredObject | undefined> {
    this.requests.stats += 1
    const size = this.#sizes.get(name)
    return size === undefined ? undefined : { name, size, modified: new Date(0) }
  }

  override async *read(name: string): AsyncGenerator<Uint8Array> {
    this.requests.reads += 1
    const parsed = parseFileName(name)
    const made = parsed && filesOf(this.#size, nightOf(parsed.set))
    const bytes =
      parsed &&
      made?.[parsed.kind === 'manifest' || parsed.kind === 'meta' ? parsed.kind : 'catalog']
    if (bytes === undefined || !this.#sizes.has(name)) {
      throw new SnapError('E_INTEGRITY', `${name} is missing`)
    }
    this.metadata += bytes.length
    this.peakMemory = Math.max(this.peakMemory, process.memoryUsage().heapUsed)
    yield bytes
  }

  override async write(name: string, text: string): Promise<StoredObject> {
    this.requests.writes += 1
    this.#sizes.set(name, text.length)
    return { name, size: text.length, modified: new Date(0) }
  }

  override async delete(name: string): Promise<void> {
    this.requests.deletes += 1
    this.#sizes.delete(name)
  }
}

function setName(night: number): string {
  return formatSetName(new Date(Date.UTC(2024, 0, 1 + night, 3)))
}

function nightOf(set: string): number {
  const time = Date.UTC(
    Number(set.slice(0, 4)),
    Number(set.slice(4, 6)) - 1,
    Number(set.slice(6, 8)),
  )
  return Math.round((time - Date.UTC(2024, 0, 1)) / 86_400_000)
}

/** The night of the archive that the set of a night names for a shard: some others change every night. */
function madeAt({ shards, changed }: TargetSize, id: number, night: number): number {
  const cycle = Math.ceil(shards / changed)
  const group = Math.floor((id - 1) / changed)
  if (night <= group) return 0
  return night - ((night - 1 - group) % cycle)
}

/** The shards of the metastore, a day each. */
export function shardsOf(size: TargetSize, night: number): CatalogShard[] {
  return Array.from({ length: size.shards }, (_, index) => {
    const shardId = BigInt(index + 1)
    return {
      ...{ shardId, database: `db${index % 100}`, retentionPolicy: 'autogen' },
      ...{ start: BigInt(index) * DAY, end: BigInt(index + 1) * DAY },
      archive: archiveName(setName(madeAt(size, index + 1, night)), shardId),
      ...{ tarSize: size.archiveSize * 2, complete: true },
      evidence: {
        content: HASH,
        tsmFiles: 1,
        tsmBytes: 1,
        tombstoneBytes: 0,
        state: HASH,
        shape: HASH,
      },
    }
  })
}

const made = new Map<string, ReturnType<typeof makeFiles>>()
/** Shards of small targets, whose files are all kept. */
const SMALL = 1000

/** The small files of the set of a night; of large targets only those made last are kept, as they are read in a row. */
function filesOf(size: TargetSize, night: number) {
  const key = `${JSON.stringify(size)} ${night}`
  const files = made.get(key) ?? makeFiles(size, night)
  if (size.shards > SMALL) made.clear()
  made.set(key, files)
  return files
}

function makeFiles(size: TargetSize, night: number) {
  const set = setName(night)
  const shards = shardsOf(size, night)
  const metaBytes = metastoreOf(shards)
  const entries: ManifestEntry[] = shards.map(
    ({ database, retentionPolicy, shardId, archive }) => ({
      ...{ database, policy: retentionPolicy, shardId, fileName: archive },
      ...{ size: size.archiveSize * 2, lastModified: 0, unknown: {} },
    }),
  )
  const manifest = encodeManifest({
    meta: { fileName: metaName(set), size: metaBytes.length, unknown: {} },
    ...{ limited: false, files: entries, catalog: catalogName(set), unknown: {} },
  })
  const meta = encodeMetaFile(metaBytes)
  const described = shards.flatMap(({ archive, shardId }) => [
    { name: archive, size: size.archiveSize, sha256: HASH },
    { name: sidecarName(archive.slice(0, 16), shardId), size: 4096, sha256: HASH },
  ])
  const listed = [manifestName(set), metaName(set)].map((name) => {
    const bytes = name === metaName(set) ? meta : manifest
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return { name, size: bytes.length, sha256 }
  })
  const catalog = encodeCatalog({
    ...{
      set,
      tool: { name: 'snap', version: '0' },
      kind: 'full',
      server: { clusterId: CLUSTER_ID },
    },
    created: new Date(Date.UTC(2024, 0, 1 + night, 3)).toISOString(),
    ...{ selection: {}, completeness: 'confirmed', skipped: [], shards },
    files: [...described, ...listed],
  })
  return { manifest, meta, catalog }
}

function metastoreOf(shards: readonly CatalogShard[]): Uint8Array {
  const names = [...new Set(shards.map(({ database }) => database))]
  const databases = names.map((name) => ({
    ...{ name, defaultRetentionPolicy: 'autogen' },
    retentionPolicies: [
      {
        ...{ name: 'autogen', duration: 0n, shardGroupDuration: DAY, replicaN: 1 },
        shardGroups: shards
          .filter(({ database }) => database === name)
          .map(({ shardId, start, end }) => ({
            ...{ id: shardId, startTime: start, endTime: end, deletedAt: 0n },
            shards: [{ id: shardId }],
          })),
      },
    ],
  }))
  const ids = { maxNodeId: 0n, maxShardGroupId: 20_000n, maxShardId: 20_000n }
  return encodeData(
    create(DataSchema, { term: 1n, index: 1n, clusterId: CLUSTER_ID, ...ids, databases }),
  )
}
