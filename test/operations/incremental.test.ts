import { copyFile, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeData, encodeData } from '../../src/meta/index.ts'
import { type BackupOptions, backup } from '../../src/operations/backup.ts'
import type { ShardSource } from '../../src/operations/shard-source.ts'
import { decodeCatalog } from '../../src/portable/catalog.ts'
import type { Directories } from '../helpers/influxd.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { namesOf, verified } from './sets.ts'
import { DAY, openDirectories, points, type ShardFixture, writeDirectories } from './shards.ts'

const TEMP = await tempDir('incremental')
const INCREMENTAL = { fullEvery: 7 * 86_400_000, trustProbe: false }
const SHARDS = [1n, 2n, 3n].map(
  (id): ShardFixture => ({
    ...{ id, database: 'db', retentionPolicy: 'rp', day: id },
    files: [{ points: { 'm,host=a#!~#v': points('float', [[id * DAY, Number(id)]]) } }],
  }),
)

interface Options extends Partial<BackupOptions> {
  /** Changes what the source is asked for. */
  readonly wrap?: (source: ShardSource) => ShardSource
}

async function run(dirs: Directories, store: MemoryStore, { wrap, ...options }: Options = {}) {
  const { source, close } = await openDirectories(dirs)
  onTestFinished(close)
  return await backup({
    ...{ source: wrap?.(source) ?? source, store, selection: {}, jobs: 1, attempts: 1 },
    ...{ skipErrors: false, dryRun: false, compression: 'gzip', tempDir: TEMP, version: '0' },
    ...{ incremental: INCREMENTAL, signal: new AbortController().signal },
    ...options,
  })
}

/** Reads as another source does, and tells what was read. */
function counting(asked: bigint[], fails: (id: bigint) => boolean = () => false) {
  return (source: ShardSource): ShardSource => ({
    name: source.name,
    readMetastore: (...args) => source.readMetastore(...args),
    readStates: async (...args) => await source.readStates?.(...args),
    openShard: (...args) => source.openShard(...args),
    wasDropped: (...args) => source.wasDropped(...args),
    damage: (...args) => source.damage(...args),
    losses: () => source.losses(),
    readShard: (request, signal) => {
      asked.push(request.shard.shardId)
      if (fails(request.shard.shardId)) throw new SnapError('E_SOURCE', 'no more')
      return source.readShard(request, signal)
    },
  })
}

const shardDir = (dirs: Directories, id: bigint) => join(dirs.data, 'db/rp', String(id))
const tsmOf = (dirs: Directories, id: bigint) => join(shardDir(dirs, id), '000000001-000000001.tsm')
const freshIds = ({ shards }: Awaited<ReturnType<typeof run>>) =>
  shards.filter(({ reused }) => reused === undefined).map(({ shardId }) => shardId)

async function changeMeta(
  dirs: Directories,
  change: (data: ReturnType<typeof decodeData>) => void,
) {
  const path = join(dirs.meta, 'meta.db')
  const data = decodeData(await readFile(path))
  change(data)
  await writeFile(path, encodeData(data))
}

describe('an incremental backup', () => {
  it('names the archives of older sets, and is whole without them', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    const first = await run(dirs, store)
    expect(first.fullBecause).toBe('no older set here has an archive to share')
    await utimes(tsmOf(dirs, 2n), 0, 0)
    await copyFile(tsmOf(dirs, 1n), join(shardDir(dirs, 3n), '000000002-000000001.tsm'))
    const second = await run(dirs, store)
    expect(freshIds(second)).toEqual([3n])
    expect(second).toMatchObject({ parent: first.set, completeness: 'confirmed' })
    const third = await run(dirs, store)
    expect(freshIds(third)).toEqual([])
    expect(third).toMatchObject({ parent: second.set, fetchedBytes: 0 })
    const catalog = decodeCatalog(store.files.get(`${third.set}.snap.json`) ?? new Uint8Array())
    const names = [first, first, second].map(({ set }, i) => `${set}.s${i + 1}`)
    expect(catalog.shards?.map(({ archive }) => archive)).toEqual(
      names.map((name) => `${name}.tar.gz`),
    )
    const listed = catalog.files.map(({ name }) => name)
    for (const name of names) expect(listed).toContain(`${name}.json`)
    expect((await verified(store, { deep: true })).problems).toEqual([])
  })

  it('compares what was copied, and stores it only if it differs', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    await run(dirs, store)
    const copy = `${tsmOf(dirs, 1n)}.copy`
    await copyFile(tsmOf(dirs, 1n), copy)
    await rename(copy, tsmOf(dirs, 1n))
    const second = await run(dirs, store)
    expect(freshIds(second)).toEqual([])
    expect(second.fetchedBytes).toBe(second.shards[0]?.bytes)
    expect((await run(dirs, store)).fetchedBytes).toBe(0)
    // The same name and size, another content.
    await copyFile(tsmOf(dirs, 2n), tsmOf(dirs, 1n))
    expect(freshIds(await run(dirs, store))).toEqual([1n])
  })

  it('takes no archive that is gone or has another size, nor one of a catalog that is damaged', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    const { set } = await run(dirs, store)
    store.files.delete(`${set}.s1.tar.gz`)
    store.files.set(`${set}.s2.json`, new Uint8Array(3))
    const second = await run(dirs, store)
    expect(freshIds(second)).toEqual([1n, 2n])
    const catalog = store.files.get(`${second.set}.snap.json`) ?? new Uint8Array()
    catalog[100] = (catalog[100] ?? 0) ^ 1
    const third = await run(dirs, store)
    expect(freshIds(third)).toEqual([1n, 2n])
    expect(third.parent).toBe(set)
  })

  it.each<[string, (data: ReturnType<typeof decodeData>) => void]>([
    ['a database', (data) => void Object.assign(data.databases[0] ?? {}, { name: 'other' })],
    [
      'a group',
      (data) => {
        const groups = data.databases[0]?.retentionPolicies[0]?.shardGroups ?? []
        for (const group of groups) group.endTime += 1n
      },
    ],
  ])('does not take shards for those of %s that is another', async (what, change) => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    await run(dirs, store)
    await changeMeta(dirs, change)
    if (what === 'a database') await rename(join(dirs.data, 'db'), join(dirs.data, 'other'))
    const second = await run(dirs, store)
    expect(freshIds(second)).toEqual([1n, 2n, 3n])
    expect(second.fullBecause).toMatch(/no older set/)
  })

  it('shares from sets of other selections, whole ones too', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    await run(dirs, store, { selection: { shards: [2n] }, incremental: undefined })
    await run(dirs, store, { selection: { shards: [3n] }, incremental: undefined })
    expect(freshIds(await run(dirs, store))).toEqual([1n])
  })

  it('fetches all when an archive is too old, or of a time to come', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    await run(dirs, store)
    const always = { ...INCREMENTAL, fullEvery: 0 }
    const anew = await run(dirs, store, { incremental: always })
    expect(anew).toMatchObject({ fullBecause: 'as asked for (--full-every 0)' })
    expect(anew.parent).toBeUndefined()
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    vi.setSystemTime(Date.now() + 8 * 86_400_000)
    const old = await run(dirs, store)
    expect(old.fullBecause).toMatch(/^\S+\.s1\.tar\.gz is older than --full-every$/)
    vi.useRealTimers()
    const ahead = await run(dirs, store)
    expect(ahead.fullBecause).toMatch(/ is of a time to come: a clock was set back$/)
  })

  it('says what it would fetch, and does nothing', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    await run(dirs, store)
    const before = [...store.files.keys()]
    await rm(tsmOf(dirs, 2n))
    const dry = await run(dirs, store, { dryRun: true })
    expect(freshIds(dry)).toEqual([2n])
    expect([...store.files.keys()]).toEqual(before)
  })

  it('fetches what it cannot be told the state of', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    await run(dirs, store)
    const asked: bigint[] = []
    const wrap = (source: ShardSource) => ({
      ...counting(asked)(source),
      readStates: async () => new Map(),
    })
    const second = await run(dirs, store, { wrap })
    expect(asked).toEqual([1n, 2n, 3n])
    expect(freshIds(second)).toEqual([])
    expect(second.fetchedBytes).toBe(second.shards.reduce((sum, { bytes }) => sum + bytes, 0))
  })
})

describe('a backup that failed with --resume', () => {
  async function failed() {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    const failing = { resume: true, incremental: undefined, wrap: counting([], (id) => id === 3n) }
    await expect(run(dirs, store, failing)).rejects.toThrow('no more')
    return { dirs, store }
  }

  it('leaves what it had finished, and the next one goes on', async () => {
    const { dirs, store } = await failed()
    for (const name of store.files.keys()) expect(name).toMatch(/\.pending$/)
    expect(namesOf(store, '.done.pending')).toHaveLength(2)
    const asked: bigint[] = []
    const { shards, set } = await run(dirs, store, {
      ...{ resume: true, incremental: undefined, wrap: counting(asked) },
    })
    expect(asked).toEqual([3n])
    expect(shards.map(({ resumed }) => resumed)).toEqual([true, true, undefined])
    for (const name of store.files.keys()) expect(name.startsWith(`${set}.`), name).toBe(true)
    expect(namesOf(store, '.pending')).toEqual([])
    expect((await verified(store, { deep: true })).problems).toEqual([])
  })

  it('is gone on with by an incremental run too, and cleared away by any other', async () => {
    const one = await failed()
    const asked: bigint[] = []
    await run(one.dirs, one.store, { wrap: counting(asked) })
    expect(asked).toEqual([3n])
    const two = await failed()
    await run(two.dirs, two.store, { incremental: undefined, wrap: counting(asked) })
    expect(asked).toEqual([3n, 1n, 2n, 3n])
    expect(namesOf(two.store, '.pending')).toEqual([])
  })

  it('is not trusted where something changed since, or is not what was noted', async () => {
    const { dirs, store } = await failed()
    const [archive = ''] = namesOf(store, '.s2.tar.gz.pending')
    const bytes = store.files.get(archive) ?? new Uint8Array()
    bytes[20] = (bytes[20] ?? 0) ^ 1
    await copyFile(tsmOf(dirs, 2n), join(shardDir(dirs, 1n), '000000002-000000001.tsm'))
    const asked: bigint[] = []
    await run(dirs, store, { resume: true, incremental: undefined, wrap: counting(asked) })
    expect(asked).toEqual([1n, 2n, 3n])
    expect((await verified(store, { deep: true })).problems).toEqual([])
  })

  it('is not gone on with by a note that is cut', async () => {
    const { dirs, store } = await failed()
    for (const name of namesOf(store, '.done.pending')) {
      store.files.set(name, store.files.get(name)?.subarray(0, 90) ?? new Uint8Array())
    }
    const asked: bigint[] = []
    await run(dirs, store, { resume: true, incremental: undefined, wrap: counting(asked) })
    expect(asked).toEqual([1n, 2n, 3n])
    expect((await readdir(TEMP)).length).toBe(0)
  })

  it('leaves nothing without it', async () => {
    const [dirs, store] = [await writeDirectories(SHARDS), new MemoryStore()]
    const wrap = counting([], (id) => id === 3n)
    await expect(run(dirs, store, { wrap })).rejects.toThrow('no more')
    expect([...store.files.keys()]).toEqual([])
  })
})
