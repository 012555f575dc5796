import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Announced, announce } from '../../src/operations/expected-sizes.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { restore } from '../../src/operations/restore.ts'
import { listSets } from '../../src/portable/sets.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { backUp } from './sets.ts'
import { DAY, openDirectories, points, type ShardFixture, writeDirectories } from './shards.ts'

const SHARDS = [1n, 2n].map(
  (id): ShardFixture => ({
    ...{ id, database: 'db', retentionPolicy: 'rp', day: id },
    files: [{ points: { 'm,host=a#!~#v': points('float', [[id * DAY, Number(id)]]) } }],
  }),
)
const NAMES = SHARDS.map(({ id: shardId, database, retentionPolicy }) => ({
  ...{ shardId, database, retentionPolicy },
}))
const { signal } = new AbortController()

/** Announces a backup from a server of which nothing is known into a target, and returns what was told. */
async function announced(store: MemoryStore, options: Partial<Announced> = {}) {
  const events: ProgressEvent[] = []
  const listing = await listSets(store, signal)
  const sizes = await announce(NAMES, {
    ...{ source: {}, listing, clusterId: 1n, task: 'backup', isPart: false, signal },
    progress: (event) => void events.push(event),
    ...options,
  })
  return { sizes, events }
}

async function clusterOf(store: MemoryStore): Promise<bigint> {
  const name = [...store.files.keys()].find((file) => file.endsWith('.snap.json')) ?? ''
  const text = Buffer.from(store.files.get(name) ?? []).toString()
  return BigInt(/"clusterId": ?"?(\d+)/.exec(text)?.[1] ?? '-1')
}

describe('the size of what a backup is about to move', () => {
  it('is that of the files of a data directory', async () => {
    const dirs = await writeDirectories(SHARDS)
    const { source, close } = await openDirectories(dirs)
    await source.readMetastore({}, signal)
    const { sizes, events } = await announced(new MemoryStore(), { source })
    await close()
    const file = join(dirs.data, 'db/rp/1/000000001-000000001.tsm')
    const { size } = await stat(file)
    expect(sizes.get(1n)).toBe(size)
    const bytes = (sizes.get(1n) ?? 0) + (sizes.get(2n) ?? 0)
    expect(events).toEqual([{ type: 'plan', task: 'backup', shards: 2, bytes, about: true }])
  })

  it('is that of the newest set of the same server, as far as it goes', async () => {
    const { store, result } = await backUp(SHARDS)
    const clusterId = await clusterOf(store)
    const [first, second] = result.shards.map(({ bytes }) => bytes)
    const { events } = await announced(store, { clusterId })
    const plan = { type: 'plan', task: 'backup', shards: 2, about: true }
    expect(events).toEqual([{ ...plan, bytes: (first ?? 0) + (second ?? 0) }])
    const partly = await backUp(SHARDS.slice(0, 1))
    const some = await announced(partly.store, { clusterId: await clusterOf(partly.store) })
    expect(some.events).toEqual([plan])
    expect(some.sizes).toEqual(new Map([[1n, first]]))
  })

  it('leaves out what need not be moved', async () => {
    const { store, result } = await backUp(SHARDS)
    const clusterId = await clusterOf(store)
    const { events, sizes } = await announced(store, { clusterId, unchanged: new Map([[1n, 0]]) })
    const bytes = result.shards[1]?.bytes
    expect(events).toEqual([{ type: 'plan', task: 'backup', shards: 2, bytes, about: true }])
    expect(sizes.get(1n)).toBe(0)
    const all = { clusterId, unchanged: new Map(NAMES.map(({ shardId }) => [shardId, 0])) }
    expect((await announced(store, all)).events).toEqual([
      { type: 'plan', task: 'backup', shards: 2, bytes: undefined },
    ])
  })

  it('is not guessed', async () => {
    const { store } = await backUp(SHARDS)
    const clusterId = await clusterOf(store)
    const nothing = [{ type: 'plan', task: 'backup', shards: 2 }]
    expect((await announced(new MemoryStore())).events).toEqual(nothing)
    expect((await announced(store, { clusterId: clusterId + 1n })).events).toEqual(nothing)
    expect((await announced(store, { clusterId, isPart: true })).events).toEqual(nothing)
    const since = await announced(store, { clusterId, since: 1n })
    expect(since.events).toEqual([{ ...nothing[0], about: true }])
    expect(since.sizes.size).toBe(2)
    for (const name of store.files.keys()) {
      if (name.endsWith('.snap.json')) store.files.set(name, Buffer.from('{}'))
    }
    expect((await announced(store, { clusterId })).events).toEqual(nothing)
  })
})

describe('the size of what a restore is about to move', () => {
  const restoreOf = async (shards: readonly ShardFixture[]) => {
    const { store } = await backUp(shards)
    const events: ProgressEvent[] = []
    const root = await tempDir('restored')
    const directory = { dataDir: join(root, 'data'), walDir: join(root, 'wal') }
    const { shards: restored } = await restore({
      ...{ store, selection: {}, renames: {}, jobs: 1, attempts: 1, dryRun: false, signal },
      ...{ readBack: true, resume: false, salvage: false, tempDir: await tempDir('temp') },
      target: {
        directory: { ...directory, metaDir: join(root, 'meta'), env: {} },
        mode: 'read-write',
        influxdIsStopped: true,
      },
      progress: (event) => void events.push(event),
    })
    const begin = events.findIndex(({ type }, i) => type === 'plan' && i > 0)
    return { check: events[0], events: events.slice(begin), restored }
  }

  it('is exactly that of its files', async () => {
    const { check, events, restored } = await restoreOf(SHARDS)
    expect(check).toMatchObject({ type: 'plan', task: 'check', shards: 2, isStep: true })
    const bytes = restored.reduce((sum, shard) => sum + shard.bytes, 0)
    expect(events[0]).toEqual({ type: 'plan', task: 'restore', shards: 2, bytes })
    const begun = events.flatMap((event) => (event.type === 'shardStart' ? [event.bytes] : []))
    expect(begun).toEqual(restored.map((shard) => shard.bytes))
  })

  it('is only known about where points were deleted', async () => {
    const key = 'm,host=b#!~#v'
    const [first, second] = SHARDS
    const files = [
      {
        points: {
          [key]: points('float', [[2n * DAY, 1]]),
          'm,host=c#!~#v': points('float', [[2n * DAY, 1]]),
        },
        deleted: [{ key, time: 2n * DAY }],
      },
    ]
    const shards = [first, second && { ...second, files }].flatMap((shard) => shard ?? [])
    const { events, restored } = await restoreOf(shards)
    const bytes = restored.reduce((sum, shard) => sum + shard.bytes, 0)
    expect(events[0]).toMatchObject({ type: 'plan', about: true })
    const plan = events.find(({ type }) => type === 'plan')
    expect(plan).toHaveProperty('bytes', expect.any(Number))
    expect(plan?.type === 'plan' && (plan.bytes ?? 0) > bytes).toBe(true)
  })
})
