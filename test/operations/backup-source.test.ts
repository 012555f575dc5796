import { cp, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { readAll } from '../../src/io/spool.ts'
import { BackupSource } from '../../src/operations/backup-source.ts'
import type { ShardName } from '../../src/operations/inspect.ts'
import { openRestorable } from '../../src/operations/open-restorable.ts'
import { createThrottle } from '../../src/operations/throttle.ts'
import { LocalStore, type Store } from '../../src/storage/index.ts'
import { backedUp } from '../cli/commands/targets.ts'
import { pointsOf } from '../datadir/shard-files.ts'
import type { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { backUp, changeFile, namesOf } from './sets.ts'
import { points } from './shards.ts'

const { signal } = new AbortController()
const STOCK = join(import.meta.dirname, '../fixtures/portable/two-sets')
const TEN = { database: 'two words', retentionPolicy: 'autogen', shardId: 10n }

async function sourceOf(store: Store): Promise<BackupSource> {
  return new BackupSource(store, await openRestorable(store, {}))
}

async function open(source: BackupSource, shard: ShardName) {
  const throttle = createThrottle(undefined)
  return await source.openShard({ shard }, { tempDir: await tempDir('temp'), throttle, signal })
}

/** The points in the TSM files of a shard, read twice. */
async function pointsIn(source: BackupSource, shard: ShardName): Promise<string[]> {
  for (let time = 1; ; time++) {
    const { files, close } = await open(source, shard)
    const found: Uint8Array[] = []
    for (const [name, access] of files) {
      if (!name.endsWith('.tsm')) continue
      const chunks: Uint8Array[] = []
      for await (const chunk of readAll(access)) chunks.push(chunk)
      found.push(Buffer.concat(chunks))
    }
    await close()
    if (time === 2) return await pointsOf(found)
  }
}

describe('a shard of a backup', () => {
  it('is read where it is in its archive', async () => {
    const source = await sourceOf(new LocalStore(await backedUp()))
    expect(await pointsIn(source, TEN)).toEqual(['m ö 11', 'm ö 12'])
    expect(await source.wasDropped()).toBe(false)
  })

  it('is spooled where the archive can only be read from its beginning', async () => {
    const source = await sourceOf(new LocalStore(STOCK))
    const shard = { database: 'plain', retentionPolicy: 'autogen', shardId: 1n }
    expect(await pointsIn(source, shard)).toEqual(['m,week=1 608400000000000'])
    const { data, present } = await source.readMetastore({})
    expect([data.databases.length, [...present].length]).toEqual([3, 5])
  })

  const one = async () => {
    const file = { points: { 'm#!~#value': points('float', [[5n, 1]]) } }
    const shard = { id: 10n, database: 'two words', retentionPolicy: 'autogen', day: 0n }
    return (await backUp([{ ...shard, files: [file] }])).store
  }
  const changed = (store: MemoryStore, change: (sidecar: string) => string) => {
    const [name = ''] = namesOf(store, '.s10.json')
    changeFile(store, name, change)
    return store
  }

  it('is spooled where the sidecar does not say where its files are', async () => {
    const store = changed(await one(), (text) => text.replace(/"offset":\d+,/g, ''))
    expect(await pointsIn(await sourceOf(store), TEN)).toEqual(['m 5'])
  })

  it('is an error where the sidecar is not what the catalog says', async () => {
    const store = await one()
    const [name = ''] = namesOf(store, '.s10.json')
    store.files.set(name, Buffer.from('{}'))
    await expect(open(await sourceOf(store), TEN)).rejects.toMatchObject({ code: 'E_INTEGRITY' })
  })

  /** Flips a bit in the archive of the shard. */
  const flipped = (store: MemoryStore) => {
    const [name = ''] = namesOf(store, '.s10.tar.gz')
    const bytes = store.files.get(name)
    if (bytes !== undefined) bytes[60] = (bytes[60] ?? 0) ^ 1
    const damage = { code: 'E_INTEGRITY', message: expect.stringContaining(name) }
    return { store, damage }
  }

  it('is an error where what is read of its archive is damaged', async () => {
    const { store, damage } = flipped(await one())
    await expect(pointsIn(await sourceOf(store), TEN)).rejects.toMatchObject(damage)
  })

  it('is an error where its archive has another hash, if its blocks have none', async () => {
    const old = changed(await one(), (text) => text.replace(/,"blockCrcs":\[[^\]]*\]/, ''))
    const { store, damage } = flipped(old)
    await expect(open(await sourceOf(store), TEN)).rejects.toMatchObject(damage)
  })

  it('is an error of what is stored where its archive ends early', async () => {
    const directory = await tempDir('cut')
    await cp(STOCK, directory, { recursive: true })
    const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.s1.tar.gz'))
    for (const file of await readdir(directory)) {
      if (file.endsWith('.s1.tar.gz')) await truncate(join(directory, file), 100)
    }
    const shard = { database: 'plain', retentionPolicy: 'autogen', shardId: 1n }
    await expect(open(await sourceOf(new LocalStore(directory)), shard)).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining(name),
    })
  })

  it('that it does not have is a fault', async () => {
    const source = await sourceOf(new LocalStore(STOCK))
    await expect(open(source, { ...TEN, shardId: 77n })).rejects.toMatchObject({ code: 'E_FAILED' })
  })

  it('that is damaged is damage to what is stored', async () => {
    const source = await sourceOf(new LocalStore(STOCK))
    const found = source.damage(new SnapError('E_CUT', 'ends early'))
    expect(found).toMatchObject({ code: 'E_INTEGRITY', message: `${STOCK}: ends early` })
    const again = source.damage(new SnapError('E_FORMAT', `${STOCK}: rubbish`))
    expect(again.message).toBe(`${STOCK}: rubbish`)
  })
})
