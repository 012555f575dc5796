import { createHash } from 'node:crypto'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { encodeData } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import type { Catalog, CatalogShard } from '../../src/portable/catalog.ts'
import { encodeChecks, type SetChecks } from '../../src/portable/checks.ts'
import {
  archiveName,
  catalogName,
  encodeCatalog,
  encodeManifest,
  encodeMetaFile,
  formatSetName,
  manifestName,
  metaName,
  sidecarName,
} from '../../src/portable/index.ts'
import { checksName } from '../../src/portable/names.ts'

const DAY = 86_400_000
const NS = 1_000_000n
const HASH = '5'.repeat(64)
const SIDECAR_SIZE = 4096

/** A retention policy of the server of a target, and how its data grows. */
export interface SamplePolicy {
  readonly database: string
  readonly name: string
  /** Days that points are kept; 0 is for ever. */
  readonly keepDays: number
  readonly shardDays: number
  /** Bytes of a day of points. */
  readonly dayBytes: number
  /** Days after {@link SampleTarget.begin} between which points are written. */
  readonly from: number
  readonly to?: number | undefined
}

/** A target to be made: a set each night, the first and every seventh one full. */
export interface SampleTarget {
  /** The day of the first set. */
  readonly begin: Date
  readonly nights: number
  readonly policies: readonly SamplePolicy[]
  /** Nights without a set. */
  readonly missed?: readonly number[] | undefined
  /** How the set of a night was checked. */
  readonly checks?: ((night: number) => SetChecks) | undefined
  /** A shard holds half its points from a night on: its number in its policy. */
  readonly shrinks?: { readonly night: number; readonly shard: number } | undefined
}

interface Shard extends CatalogShard {
  readonly policy: SamplePolicy
}

/** Makes the files of a target in a directory. Archives have a size and no bytes. Returns the names of the sets, the oldest first. */
export async function writeReportTarget(dir: string, target: SampleTarget): Promise<string[]> {
  await mkdir(dir, { recursive: true })
  const sets: string[] = []
  const archives = new Map<string, Shard>()
  for (let night = 0; night < target.nights; night++) {
    if (target.missed?.includes(night)) continue
    const time = new Date(target.begin.getTime() + night * DAY + 3 * 3_600_000 + night * 1000)
    const set = formatSetName(time)
    const isFull = night % 7 === 0
    const shards: Shard[] = []
    for (const shard of shardsAt(target, night, set)) {
      const key = `${shard.policy.database}.${shard.policy.name} ${shard.shardId}`
      const older = archives.get(key)
      const isSame = older?.tarSize === shard.tarSize && older.data?.points === shard.data?.points
      const chosen = isSame && !isFull ? older : shard
      if (chosen === undefined) continue
      archives.set(key, chosen)
      shards.push(chosen)
      if (chosen === shard) await writeArchive(dir, shard)
    }
    await writeSet(dir, { set, time, shards, isFull, checks: target.checks?.(night) })
    sets.push(set)
  }
  return sets
}

/** The shards that the server has in a night. */
function shardsAt({ begin, policies, shrinks }: SampleTarget, night: number, set: string): Shard[] {
  return policies.flatMap((policy, number) => {
    const { from, to = night, keepDays, shardDays, dayBytes } = policy
    const isDropped = policy.to !== undefined && night > policy.to + 3
    const shards: Shard[] = []
    for (let at = from, index = 0; at <= Math.min(to, night); at += shardDays, index++) {
      if (isDropped || (keepDays > 0 && at + shardDays + keepDays <= night)) continue
      const days = Math.min(shardDays, night - at + 1, (policy.to ?? night) - at + 1)
      const isLess = shrinks !== undefined && index === shrinks.shard && night >= shrinks.night
      const share = isLess && number === 0 ? 0.5 : 1
      const shardId = BigInt(number * 10_000 + index + 1)
      const start = BigInt(begin.getTime() + at * DAY) * NS
      const growth = 1 + Math.max(0, at) / 200
      shards.push({
        policy,
        ...{ shardId, database: policy.database, retentionPolicy: policy.name, start },
        end: start + BigInt(shardDays * DAY) * NS,
        archive: archiveName(set, shardId),
        tarSize: Math.round(days * dayBytes * share * growth),
        complete: true,
        data: {
          series: 200 + number * 37 + Math.round(growth * 100),
          points: Math.round((days * dayBytes * share * growth) / 3),
          exact: true,
        },
      })
    }
    return shards
  })
}

function storedSize({ tarSize }: CatalogShard): number {
  return Math.round(tarSize * 0.4)
}

async function writeArchive(dir: string, shard: Shard): Promise<void> {
  const set = shard.archive.slice(0, 16)
  await sparse(join(dir, shard.archive), storedSize(shard))
  await sparse(join(dir, sidecarName(set, shard.shardId)), SIDECAR_SIZE)
}

async function sparse(path: string, size: number): Promise<void> {
  await writeFile(path, '')
  await truncate(path, size)
}

interface SetToWrite {
  readonly set: string
  readonly time: Date
  readonly shards: readonly Shard[]
  readonly isFull: boolean
  readonly checks: SetChecks | undefined
}

async function writeSet(dir: string, { set, time, shards, isFull, checks }: SetToWrite) {
  const metaBytes = metastoreOf(shards)
  const meta = encodeMetaFile(metaBytes)
  const manifest = encodeManifest({
    meta: { fileName: metaName(set), size: metaBytes.length, unknown: {} },
    limited: false,
    files: shards.map(({ database, retentionPolicy, shardId, archive, tarSize }) => ({
      ...{ database, policy: retentionPolicy, shardId, fileName: archive, size: tarSize },
      ...{ lastModified: 0, unknown: {} },
    })),
    catalog: catalogName(set),
    unknown: {},
  })
  const bytes = shards.reduce(
    (sum, shard) => sum + (shard.archive.startsWith(set) ? shard.tarSize : 0),
    0,
  )
  const older = shards.map(({ archive }) => archive.slice(0, 16)).filter((name) => name !== set)
  const parent = older.sort().at(-1)
  const catalog: Catalog = {
    ...{ set, tool: { name: 'snap', version: '0.1.0' }, created: time.toISOString(), kind: 'full' },
    durationMs: Math.round(4000 + bytes / 40_000),
    ...{ server: { clusterId: 1234567890n }, selection: {}, completeness: 'confirmed' },
    ...(!isFull && parent !== undefined && { parent }),
    skipped: [],
    shards: shards.map(({ policy: _, ...shard }) => shard),
    files: [
      ...shards.flatMap((shard) => [
        { name: shard.archive, size: storedSize(shard), sha256: HASH },
        {
          name: sidecarName(shard.archive.slice(0, 16), shard.shardId),
          ...{ size: SIDECAR_SIZE, sha256: HASH },
        },
      ]),
      fileOf(metaName(set), meta),
      fileOf(manifestName(set), manifest),
    ],
  }
  await writeFile(join(dir, metaName(set)), meta)
  await writeFile(join(dir, catalogName(set)), encodeCatalog(catalog))
  await writeFile(join(dir, manifestName(set)), manifest)
  if (checks !== undefined) await writeFile(join(dir, checksName(set)), encodeChecks(set, checks))
}

function fileOf(name: string, bytes: Uint8Array) {
  return { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

function metastoreOf(shards: readonly Shard[]): Uint8Array {
  const names = [...new Set(shards.map(({ database }) => database))]
  const databases = names.map((name) => {
    const policies = new Set(shards.filter((one) => one.database === name).map((one) => one.policy))
    return {
      name,
      defaultRetentionPolicy: 'autogen',
      retentionPolicies: [...policies].map((policy) => ({
        name: policy.name,
        duration: BigInt(policy.keepDays * DAY) * NS,
        shardGroupDuration: BigInt(policy.shardDays * DAY) * NS,
        replicaN: 1,
        shardGroups: shards
          .filter((shard) => shard.policy === policy)
          .map(({ shardId, start, end }) => ({
            ...{ id: shardId, startTime: start, endTime: end, deletedAt: 0n },
            shards: [{ id: shardId }],
          })),
      })),
    }
  })
  const ids = { maxNodeId: 0n, maxShardGroupId: 900_000n, maxShardId: 900_000n }
  return encodeData(
    create(DataSchema, { term: 1n, index: 1n, clusterId: 1234567890n, ...ids, databases }),
  )
}

/** A target that has a bit of everything: retention, a hole, a dropped database, a shard that shrank, checks. */
export function variedTarget(nights = 60): SampleTarget {
  const begin = new Date('2026-09-23T00:00:00Z')
  const at = (night: number, hours: number) =>
    new Date(begin.getTime() + night * DAY + hours * 3_600_000).toISOString()
  return {
    ...{ begin, nights, missed: [17, 18], shrinks: { night: nights - 5, shard: 4 } },
    policies: [
      {
        database: 'telegraf',
        name: 'autogen',
        keepDays: 0,
        shardDays: 7,
        dayBytes: 38e6,
        from: -63,
      },
      { database: 'telegraf', name: 'raw', keepDays: 14, shardDays: 1, dayBytes: 64e6, from: -14 },
      { database: 'plant', name: 'autogen', keepDays: 90, shardDays: 7, dayBytes: 12e6, from: -35 },
      { database: 'plant', name: 'yearly', keepDays: 0, shardDays: 28, dayBytes: 1e6, from: -1120 },
      {
        database: 'weather',
        name: 'autogen',
        keepDays: 0,
        shardDays: 7,
        dayBytes: 5e6,
        from: 10,
        to: 41,
      },
    ],
    checks: (night) => ({
      ...(night % 7 === 1 && {
        verified: {
          time: at(night, 5),
          ok: true,
          deep: night % 14 === 1,
          complete: true,
          problems: 0,
        },
      }),
      ...(night === nights - 18 && {
        drilled: {
          time: at(night, 6),
          ok: true,
          differences: 0,
          recoveryMs: 251_000,
          complete: true,
        },
      }),
    }),
  }
}
