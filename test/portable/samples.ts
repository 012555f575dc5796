import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import type { Data } from '../../src/meta/index.ts'
import { encodeData } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import type { Catalog, Manifest, ManifestEntry, Sidecar } from '../../src/portable/index.ts'
import {
  archiveName,
  catalogName,
  encodeCatalog,
  encodeManifest,
  encodeMetaFile,
  encodeSidecar,
  manifestName,
  metaName,
  sidecarName,
} from '../../src/portable/index.ts'

export const CLUSTER_ID = 0x7fff_ffff_ffff_fffen

/** A store with database `db` (policies `autogen` with shards 1 and 2, `empty` with none), `other` (3) and `bare`. */
export function smallStore(clusterId = CLUSTER_ID): Data {
  const group = (id: bigint, deletedAt = 0n) => ({
    ...{ id, startTime: 0n, endTime: 1n, deletedAt },
    shards: [{ id }],
  })
  const policy = (name: string, ...shardGroups: readonly ReturnType<typeof group>[]) => ({
    ...{ name, duration: 0n, shardGroupDuration: 1n, replicaN: 1 },
    shardGroups: [...shardGroups],
  })
  const database = (name: string, ...retentionPolicies: readonly ReturnType<typeof policy>[]) => ({
    ...{ name, defaultRetentionPolicy: 'autogen' },
    retentionPolicies: [...retentionPolicies],
  })
  return create(DataSchema, {
    ...{ term: 0n, index: 9n, clusterId, maxNodeId: 0n, maxShardGroupId: 9n, maxShardId: 9n },
    databases: [
      database('db', policy('autogen', group(1n), group(2n)), policy('empty')),
      database('other', policy('autogen', group(3n))),
      database('bare', policy('autogen', group(4n, 5n))),
    ],
  })
}

export function entry(set: string, shardId: bigint, database = 'db'): ManifestEntry {
  return {
    ...{ database, policy: 'autogen', shardId, fileName: archiveName(set, shardId) },
    ...{ size: 1024, lastModified: 0, unknown: {} },
  }
}

export function manifest(set: string, files: readonly ManifestEntry[], metaSize: number): Manifest {
  return {
    meta: { fileName: metaName(set), size: metaSize, unknown: {} },
    ...{ limited: false, files, unknown: {} },
  }
}

export function sidecar(set: string, { shardId, database, policy }: ManifestEntry): Sidecar {
  return {
    ...{ shardId, database, retentionPolicy: policy },
    archive: {
      ...{ name: archiveName(set, shardId), size: 7, tarSize: 1024 },
      sha256: sha256Of(Buffer.from('archive')),
      tarSha256: sha256Of(Buffer.from('tar')),
    },
    files: [
      {
        ...{ name: '000000001-000000001.tsm', size: 100, keys: 2, minTime: -5n, maxTime: 7n },
        ...{ modified: '2024-01-02T03:04:05.678Z' },
      },
      { name: '000000001-000000001.tombstone', size: 9 },
    ],
    seekPoints: [
      [0, 38],
      [1_048_576, 700_000],
    ],
    blockCrcs: [7, 0xffff_ffff],
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function catalog(set: string, changes: Partial<Catalog> = {}): Catalog {
  return {
    set,
    tool: { name: 'snap', version: '0.1.0' },
    created: '2024-01-02T03:04:05.000Z',
    kind: 'full',
    server: { clusterId: CLUSTER_ID, host: '127.0.0.1:8088', version: '1.6.7' },
    selection: {},
    completeness: 'unconfirmed',
    completenessReason: 'the server does not say whether its cache was in the answer',
    skipped: [],
    files: [],
    ...changes,
  }
}

interface Written {
  readonly entries: readonly ManifestEntry[]
  readonly meta?: Data
  readonly catalog?: Partial<Catalog>
  /** Shards whose archive is not written. */
  readonly without?: readonly bigint[]
}

/** The files of a stock set. */
export function stockFiles(set: string, written: Written): Map<string, Uint8Array> {
  const data = encodeData(written.meta ?? smallStore())
  const files = new Map<string, Uint8Array>()
  for (const { shardId, fileName } of written.entries) {
    if (!fileName.startsWith(set) || written.without?.includes(shardId)) continue
    files.set(fileName, Buffer.from('archive'))
  }
  files.set(metaName(set), encodeMetaFile(data))
  files.set(manifestName(set), encodeManifest(manifest(set, written.entries, data.length)))
  return files
}

/** The files of a set of ours. */
export function snapFiles(set: string, written: Written): Map<string, Uint8Array> {
  const files = stockFiles(set, written)
  const data = encodeData(written.meta ?? smallStore())
  for (const found of written.entries) {
    files.set(sidecarName(set, found.shardId), encodeSidecar(sidecar(set, found)))
  }
  const named = { ...manifest(set, written.entries, data.length), catalog: catalogName(set) }
  files.set(manifestName(set), encodeManifest(named))
  const listed = [...files].map(([name, bytes]) => ({
    ...{ name, size: bytes.length, sha256: sha256Of(bytes) },
  }))
  files.set(catalogName(set), encodeCatalog(catalog(set, { files: listed, ...written.catalog })))
  return files
}

/** Writes files into a directory. */
export async function writeFiles(
  directory: string,
  ...sets: readonly ReadonlyMap<string, Uint8Array>[]
): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const files of sets) {
    for (const [name, bytes] of files) await writeFile(join(directory, name), bytes)
  }
}
