// Very many shards: listed and planned for, without reading any, and the memory that all else takes with them.
import { access, link, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { encodeData } from '../dist/meta/index.js'
import { DataSchema } from '../dist/meta/meta_pb.gen.js'
import { TsmWriter } from '../dist/tsm/writer.js'
import { once } from './context.mjs'
import { row } from './measure.mjs'
import { memoryRows } from './memory.mjs'

/** Long enough that every archive may be shared. */
const SHARED = ['--incremental', '--full-every', '90000d']
const EPOCH = '1970-01-01T00:00:00Z'
const HOUR_NS = 3_600_000_000_000n

export async function many(context) {
  const { snap, manyShards: shards } = context
  const folder = await madeOnce(context, shards)
  const target = join(folder, 'target')
  const backup = ['backup', ...SHARED, '--dry-run', '--quiet']
  const costs = await context.alternate({
    list: () => snap(['list', target]),
    plan: () => snap([...backup, '--data-dir', join(folder, 'data'), target]),
  })
  const facts = (ours) => ({ ours, figure: ours.seconds, unit: 's', atMost: 2 })
  return [
    row(`list, ${shards} shards`, facts(costs.list)),
    row(`plan of an incremental, ${shards} shards`, facts(costs.plan)),
  ]
}

/** The most memory that each command takes with them: one run of each. */
export async function manyMemory(context) {
  const shards = context.manyShards
  const works = await memoryWorks(context)
  return await memoryRows(context, works, (name) => `${name}, ${shards} shards`)
}

async function memoryWorks(context) {
  const { snap, at, manyShards: shards } = context
  const folder = await madeOnce(context, shards)
  const [data, target] = [join(folder, 'data'), at('many')]
  const sets = [once(() => snap(['backup', '--quiet', '--data-dir', data, target]))]
  /** Another set of other points in every shard, where those before it are. */
  const addChanged = (before, number) => async () => {
    await before()
    const changed = at(`changed-${number}`)
    await makeDirectory(changed, { shards, value: number })
    const from = ['--data-dir', join(changed, 'data')]
    return await snap(['backup', '--quiet', ...SHARED, ...from, target])
  }
  for (const number of [1, 2]) sets.push(once(addChanged(sets[number - 1], number)))
  const [first, second, third] = sets
  const ofThree = (words) => async () => {
    await third()
    return await snap([...words, target])
  }
  const copied = join(folder, 'target')
  return {
    backup: first,
    'backup --incremental, all changed': second,
    'backup --incremental, all changed again': third,
    'verify of three sets': ofThree(['verify', '--quiet', '--no-record']),
    'report of three sets': ofThree(['report', '--quiet', '--output', '-']),
    'list of three sets': ofThree(['list']),
    copy: () => snap(['copy', '--quiet', copied, at('many-copied')]),
    'export into a set': () =>
      snap(['export', '--quiet', '--start', EPOCH, '--data-dir', data, at('many-cut')]),
    'plan of an incremental': () =>
      snap(['backup', '--dry-run', '--quiet', ...SHARED, '--data-dir', data, copied]),
  }
}

/** A data directory of so many shards of a few points, and a target with a set of it. */
async function madeOnce({ cache, snap, say }, shards) {
  const folder = join(cache, `many-${shards}`)
  const isThere = await access(folder).then(
    () => true,
    () => false,
  )
  if (isThere) return folder
  say(`making ${shards} shards, kept in ${folder}`)
  const pending = `${folder}.${process.pid}.pending`
  try {
    await makeDirectory(pending, { shards, value: 1 })
    const words = ['--quiet', '--compression', 'none', '--fingerprint', 'off']
    const [data, target] = [join(pending, 'data'), join(pending, 'target')]
    await snap(['backup', ...words, '--data-dir', data, target])
    await rename(pending, folder)
  } finally {
    await rm(pending, { recursive: true, force: true })
  }
  return folder
}

/** All shards have the same file, which begins with `value`: it is the number of them that counts. */
async function makeDirectory(root, { shards, value }) {
  for (const name of ['data', 'wal', 'meta']) await mkdir(join(root, name), { recursive: true })
  await writeFile(join(root, 'meta/meta.db'), encodeData(metastoreOf(shards)))
  const chunks = []
  const writer = new TsmWriter(async (chunk) => void chunks.push(Buffer.from(chunk)))
  const points = { times: BigInt64Array.of(1n, 2n), values: Float64Array.of(value, 2) }
  await writer.writeValues(Buffer.from('cpu#!~#value'), { type: 'float', ...points })
  await writer.finish()
  const file = join(root, 'any.tsm')
  await writeFile(file, Buffer.concat(chunks))
  for (let id = 1; id <= shards; id++) {
    const [data, wal] = ['data', 'wal'].map((name) => join(root, name, 'd/autogen', String(id)))
    await mkdir(data, { recursive: true })
    await mkdir(wal, { recursive: true })
    await link(file, join(data, '000000001-000000001.tsm'))
  }
}

function metastoreOf(shards) {
  const last = BigInt(shards)
  const shardGroups = Array.from({ length: shards }, (_, i) => ({
    ...{ id: BigInt(i + 1), shards: [{ id: BigInt(i + 1) }], deletedAt: 0n },
    ...{ startTime: BigInt(i) * HOUR_NS, endTime: BigInt(i + 1) * HOUR_NS },
  }))
  const policy = { name: 'autogen', duration: 0n, shardGroupDuration: HOUR_NS, replicaN: 1 }
  return create(DataSchema, {
    ...{ term: 0n, index: 7n, clusterId: 4711n, maxNodeId: 0n },
    ...{ maxShardGroupId: last, maxShardId: last },
    databases: [
      {
        ...{ name: 'd', defaultRetentionPolicy: 'autogen' },
        retentionPolicies: [{ ...policy, shardGroups }],
      },
    ],
  })
}
