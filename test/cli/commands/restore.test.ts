import { copyFile, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Data } from '../../../src/meta/index.ts'
import { emptyData } from '../../../src/meta/index.ts'
import { tsmBytes } from '../../datadir/shard-files.ts'
import {
  dataOf,
  directoryAt,
  HOUR,
  makeDirectory,
  metastoreOf,
  pointsIn,
  pointsOnDisk,
  SAMPLE,
} from '../../helpers/data-directory.ts'
import { describeWithInfluxd, startInfluxd } from '../../helpers/influxd.ts'
import { tempDir } from '../../helpers/temp.ts'
import { filesOf, treeOf } from '../../helpers/tree.ts'
import { serveDirectory } from '../../operations/servers.ts'
import { serve as serveStore } from '../../service/harness.ts'
import { MemoryStore } from '../../service/memory-store.ts'
import { expectCode, finish, finishJson, snap, worldOf } from './snap.ts'
import { backedUp, isThere, newDirectory, newTarget, restored } from './targets.ts'

const STOCK = join(import.meta.dirname, '../../fixtures/portable/two-sets')
const LEGACY = join(import.meta.dirname, '../../fixtures/legacy/increments')

/** Serves an empty store that does something of its own. */
async function serveEmpty<T extends MemoryStore>(make: (data: Data) => T) {
  const store = make(emptyData())
  const { host } = await serveStore(store)
  return { store, host }
}

/** The one file of a directory whose name ends so. */
async function fileIn(directory: string, end: string): Promise<string> {
  const found = (await readdir(directory)).filter((name) => name.endsWith(end))
  expect(found).toHaveLength(1)
  return join(directory, found[0] ?? '')
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

describe('snap restore', () => {
  it('brings everything to a server, deleted points aside', async () => {
    const set = await backedUp()
    const target = await newDirectory()
    const { host, stop } = await serveDirectory(target, 'read-write')
    const { code, stdout, stderr } = await snap('restore', '--host', host, set)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(
      /^restored telegraf, two words, empty: 4 shards, \d+ B, to 127\.0\.0\.1:\d+\n/,
    )
    expect(stderr).toMatch(/^check: 4 shards, [\d.]+ \w+\nrestore: 4 shards, about \d+ B$/m)
    await stop()
    expect(await pointsOnDisk(target)).toEqual(pointsIn())
    const { databases, shards } = await metastoreOf(target)
    expect(databases).toEqual(['telegraf', 'two words', 'empty'])
    expect(shards).toHaveLength(4)
  })

  it('gives a database another name', async () => {
    const set = await backedUp()
    const target = await newDirectory()
    const words = ['--db', 'two words', '--newdb', 'a "new" one']
    const { document } = await expectCode(0, 'restore', ...target.flags, ...words, set)
    expect(document.databases).toEqual([{ from: 'two words', to: 'a "new" one' }])
    expect(document.shards).toMatchObject([
      { database: 'two words', shardId: '10', newShardId: '1', retentionPolicy: 'autogen' },
    ])
    expect(await pointsOnDisk(target)).toEqual([
      'a "new" one/autogen m ö 11',
      'a "new" one/autogen m ö 12',
    ])
    const { stdout } = await snap('restore', ...target.flags, '--db', 'two words', set)
    expect(stdout).toMatch(/^restored two words: 1 shard, /)
  })

  it('gives a retention policy another name', async () => {
    const set = await backedUp()
    const target = await newDirectory()
    const words = ['-db', 'telegraf', '-newdb', 't', '-rp', 'short', '-newrp', 'long']
    await expectCode(0, 'restore', '-portable', ...target.flags, ...words, set)
    expect(await pointsOnDisk(target)).toEqual(['t/long mem 7'])
    expect((await metastoreOf(target)).shards).toEqual(['t/long/1'])
  })

  it('restores one shard', async () => {
    const points = await restored(await backedUp(), '--shard', '2')
    expect(points).toEqual(pointsIn().filter((line) => Number(line.split(' ').at(-1)) >= HOUR))
  })

  it('restores several databases, and leaves some out', async () => {
    const set = await backedUp()
    const some = await restored(set, '--db', 'two words', '--db', 'empty')
    expect(some).toEqual(pointsIn().filter((line) => line.startsWith('two words')))
    const rest = await restored(set, '--exclude-db', 'telegraf')
    expect(rest).toEqual(some)
  })

  it('makes a database without shards', async () => {
    const set = await backedUp()
    const target = await newDirectory()
    const { document } = await expectCode(0, 'restore', ...target.flags, '--db', 'empty', set)
    expect(document).toMatchObject({ databases: [{ to: 'empty' }], shards: [], bytes: 0 })
    expect(await metastoreOf(target)).toEqual({ databases: ['empty'], shards: [] })
  })

  it('says what the target will drop', async () => {
    const set = await backedUp()
    const target = await newDirectory()
    const { stdout } = await snap('restore', ...target.flags, set)
    expect(stdout).toContain(
      '\n  shard 3 will be dropped at the next retention check: policy short keeps it until 1970-01-01T02:00:00Z (--rp-duration inf keeps it)\n',
    )
  })

  it('says what it would do and changes nothing', async () => {
    const set = await backedUp()
    const target = await newDirectory()
    const words = ['restore', ...target.flags, '--dry-run', set]
    const { document } = await expectCode(0, ...words)
    expect(document).toMatchObject({ dryRun: true, bytes: 0, target: join(target.root, 'data') })
    expect(document.shards).toHaveLength(4)
    expect(document.shards[0]).not.toHaveProperty('newShardId')
    expect(document.expiring).toMatchObject([{ shardId: '3', expires: '1970-01-01T02:00:00Z' }])
    const { stdout } = await snap(...words)
    expect(stdout).toMatch(/^would restore telegraf, two words, empty: 4 shards, to \/.*\/data\n/)
    expect(await isThere(target.root)).toBe(false)
  })

  it('looks at a data directory that is there before it says so', async () => {
    const set = await backedUp()
    const target = await makeDirectory()
    const before = await treeOf(target.root)
    const words = ['restore', ...target.flags, '--dry-run', set]
    const { error } = await expectCode(17, ...words)
    expect(error?.message).toMatch(/^database "telegraf" exists on /)
    await expectCode(0, ...words, '--db', 'two words', '--newdb', 'other')
    expect(await treeOf(target.root)).toEqual(before)
  })

  it.each([
    [['--newdb', 'one'], '--newdb one is one name for 3 databases'],
    [['--db', 'telegraf', '--newrp', 'x'], '--newrp x needs --rp'],
  ])('refuses %j', async (words, message) => {
    const target = await newDirectory()
    const { error } = await expectCode(2, 'restore', ...target.flags, ...words, await backedUp())
    expect(error?.message).toBe(message)
    expect(await isThere(target.root)).toBe(false)
  })

  it.each([
    [['--db', 'nowhere'], 'database nowhere is not in any set'],
    [['--shard', '99'], 'shard 99 is not in any set'],
    [['--rp', 'nope'], 'retention policy nope is not in any set'],
    [
      ['--db', 'telegraf', '--rp', 'nope'],
      'database telegraf, retention policy nope is not in any',
    ],
    [['--exclude-db', 'telegraf', '--shard', '1'], 'holds nothing of this selection'],
    [['--set', '20010101T000000Z'], 'no set 20010101T000000Z, the newest is'],
    [['--set', '2001-01-01T00:00:00Z'], 'no set begun at or before 2001-01-01T00:00:00.000Z'],
  ])('ends with 16 where %j selects nothing', async (words, message) => {
    const target = await newDirectory()
    const { error } = await expectCode(16, 'restore', ...target.flags, ...words, await backedUp())
    expect(error?.message).toContain(message)
    expect(await isThere(target.root)).toBe(false)
  })

  it('takes the set that is named, or was there at a time, else the newest that holds it all', async () => {
    const sets = await newTarget()
    const old = SAMPLE['two words']?.['autogen']?.shards ?? []
    const first = await makeDirectory()
    const shards = old.map((shard) => ({ ...shard, files: [{ 'm ö': [13] }] }))
    const second = await makeDirectory({ ...SAMPLE, 'two words': { autogen: { shards } } })
    const only = ['--db', 'two words']
    const one = await expectCode(0, 'backup', ...first.flags, sets)
    await sleep(1100)
    await expectCode(0, 'backup', ...second.flags, ...only, sets)
    const { set } = one.document
    const [older, newer] = [
      ['two words/autogen m ö 11', 'two words/autogen m ö 12'],
      ['two words/autogen m ö 13'],
    ]
    expect(await restored(sets, ...only)).toEqual(newer)
    expect(await restored(sets, ...only, '--set', 'latest')).toEqual(newer)
    expect(await restored(sets, ...only, '--set', set)).toEqual(older)
    const time = set.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z')
    expect(await restored(sets, ...only, '--set', time)).toEqual(older)
    const both = await restored(sets, ...only, '--db', 'telegraf')
    expect(both).toEqual(pointsIn())
  })
})

describe('backups of influxd', () => {
  it('are restored from a portable directory with what older sets hold', async () => {
    expect(await restored(STOCK)).toEqual([
      'a.b/c m,week=1 608400000000000',
      'a.b/c m,week=2 1213200000000000',
      'a.b/c m,week=2 1299600000000000',
      'a/b.c m,week=1 608400000000000',
      'a/b.c m,week=2 1213200000000000',
      'plain/autogen m,week=1 608400000000000',
    ])
  })

  it('are restored from a legacy directory', async () => {
    const target = await newDirectory()
    const { document } = await expectCode(0, 'restore', ...target.flags, LEGACY)
    expect(document).toMatchObject({ set: null, kind: 'legacy' })
    expect(document.databases.map(({ to }: { to: string }) => to).sort()).toEqual([
      'a',
      'a.b',
      'plain',
    ])
    const points = await pointsOnDisk(target)
    expect(points).toContain('plain/autogen m,week=1 608400000000000')
    expect(points).toContain('a.b/c m,week=2 1299600000000000')
    expect(points).toHaveLength(6)
  })

  it('are restored with the newest of files that several increments have', async () => {
    const directory = await tempDir('legacy')
    for (const name of await readdir(LEGACY)) {
      await copyFile(join(LEGACY, name), join(directory, name))
    }
    await copyFile(join(LEGACY, 'a.b.c.00011.00'), join(directory, 'a.b.c.00011.01'))
    await expectCode(0, 'restore', ...(await newDirectory()).flags, directory)
  })

  it('are restored without what the metastore does not know, which is named', async () => {
    const directory = await tempDir('legacy')
    for (const name of await readdir(LEGACY)) {
      await copyFile(join(LEGACY, name), join(directory, name))
    }
    await copyFile(join(LEGACY, 'a.b.c.00010.00'), join(directory, 'x.y.00077.00'))
    const target = await newDirectory()
    const { stdout, code } = await snap('restore', ...target.flags, '--db', 'plain', directory)
    expect(code).toBe(0)
    expect(stdout).toContain('\n  x.y.00077.00 left out: the metastore has no such shard\n')
  })

  it('are read to their end before anything is changed', async () => {
    const directory = await tempDir('stock')
    for (const name of await readdir(STOCK)) {
      await copyFile(join(STOCK, name), join(directory, name))
    }
    const archive = await fileIn(directory, '39Z.s11.tar.gz')
    await truncate(archive, (await stat(archive)).size - 9)
    const target = await newDirectory()
    const { error } = await expectCode(13, 'restore', ...target.flags, directory)
    expect(error).toMatchObject({ code: 'E_INTEGRITY' })
    expect(error?.message).toContain('20261122T141639Z.s11.tar.gz')
    expect(await isThere(target.root)).toBe(false)
  })
})

describe('a source', () => {
  it.each([
    ['is not there', async () => '/no/such/directory', 'no backup in /no/such/directory'],
    ['is empty', async () => await tempDir('empty'), 'no backup in '],
  ])('that %s ends with 10', async (_, make, message) => {
    const target = await newDirectory()
    const { error } = await expectCode(10, 'restore', ...target.flags, await make())
    expect(error?.message).toContain(message)
    expect(await isThere(target.root)).toBe(false)
  })

  it('with an unfinished set alone ends with 10 and says so', async () => {
    const directory = await tempDir('unfinished')
    await writeFile(join(directory, '20200101T000000Z.manifest.pending'), '{}')
    const { error } = await expectCode(10, 'restore', ...(await newDirectory()).flags, directory)
    expect(error?.message).toContain('only an unfinished one')
  })

  it.each(['.manifest', '.meta', '.snap.json', '.s10.tar.gz'])(
    'with a damaged %s ends with 13 before anything is changed',
    async (end) => {
      const set = await backedUp()
      const path = await fileIn(set, end)
      await flip(path, 0)
      const target = await newDirectory()
      const { error } = await expectCode(13, 'restore', ...target.flags, set)
      expect(error?.message).toContain(path.slice(path.lastIndexOf('/') + 1))
      expect(await isThere(target.root)).toBe(false)
    },
  )

  it('that lacks an archive ends with 13, unless nothing of it is wanted', async () => {
    const set = await backedUp()
    await rm(await fileIn(set, '.s10.tar.gz'))
    await rm(await fileIn(set, '.s3.tar.gz'))
    const target = await newDirectory()
    const { error } = await expectCode(13, 'restore', ...target.flags, set)
    expect(error?.message).toMatch(/archive \S+\.s3\.tar\.gz of shard 3 is missing and 1 more$/)
    expect(await isThere(target.root)).toBe(false)
    expect(await restored(set, '--shard', '2')).toHaveLength(3)
  })

  it('that was incomplete when it was made is restored, and ends with 3', async () => {
    const source = await makeDirectory()
    await flip(join(source.root, 'data/two words/autogen/10/000000001-000000001.tsm'), 12)
    const set = await newTarget()
    await expectCode(3, 'backup', ...source.flags, '--skip-errors', '--retries', '0', set)
    const target = await newDirectory()
    const { document, error } = await expectCode(3, 'restore', ...target.flags, set)
    expect(document.lost).toMatchObject([{ shardId: '10', database: 'two words' }])
    expect(error?.message).toBe('the set is incomplete: 1 shard could not be backed up')
    const points = pointsIn().filter((line) => !line.startsWith('two words'))
    expect(await pointsOnDisk(target)).toEqual(points)
    const { stdout } = await snap('restore', ...(await newDirectory()).flags, set)
    expect(stdout).toMatch(/\n {2}shard 10 was not backed up: .*000000001-000000001\.tsm/)
    await expectCode(0, 'restore', ...(await newDirectory()).flags, '--db', 'telegraf', set)
  })
})

describe('a target', () => {
  it('that has the database ends with 17 and is not changed', async () => {
    const set = await backedUp()
    const target = await makeDirectory({ 'two words': SAMPLE['two words'] ?? {} })
    const before = await treeOf(target.root)
    const { error } = await expectCode(17, 'restore', ...target.flags, set)
    expect(error?.message).toMatch(/^database "two words" exists on /)
    expect(error?.hint).toContain('--newdb')
    expect(await treeOf(target.root)).toEqual(before)
  })

  it('that nobody listens at ends with 15', async () => {
    const { error } = await expectCode(15, 'restore', '--host', '127.0.0.1:1', await backedUp())
    expect(error?.message).toContain('127.0.0.1:1: cannot connect')
  })

  it('that speaks HTTP ends with 15', async () => {
    const server = createServer((_, response) => response.writeHead(400).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const words = ['--host', `127.0.0.1:${port}`, await backedUp()]
    const { error } = await expectCode(15, 'restore', ...words)
    expect(error?.hint).toContain('8086')
  })

  it('whose metastore is rubbish ends with 15', async () => {
    class Rubbish extends MemoryStore {
      override marshalBinary() {
        return Buffer.from('\xff\xff rubbish')
      }
    }
    const { host } = await serveEmpty((data) => new Rubbish(data))
    await expectCode(15, 'restore', '--host', host, await backedUp())
  })

  it('that is served for reading alone ends with 15', async () => {
    const target = await makeDirectory({ other: {} })
    const { host } = await serveDirectory(target)
    const before = await filesOf(target.root)
    await expectCode(15, 'restore', '--host', host, await backedUp())
    expect(await filesOf(target.root)).toEqual(before)
  })

  it('that alters what it is sent ends with 15, and says what is left', async () => {
    class Altering extends MemoryStore {
      override async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal) {
        await super.restoreShard(id, r, signal)
        const bytes = Buffer.from(await tsmBytes({ mem: [[7, 8]] }))
        const file = { bytes, mtime: new Date(0) }
        this.shards.get(id)?.files.set('000000001-000000001.tsm', file)
      }
    }
    const { host } = await serveEmpty((data) => new Altering(data))
    const set = await backedUp()
    const words = ['restore', '--host', host, '--db', 'two words', set]
    const { error } = await expectCode(15, ...words)
    expect(error?.message).toContain('shard 1 (two words.autogen) does not hold what was sent')
    expect(error?.hint).toContain(`incomplete on ${host}: "two words"`)
    await expectCode(0, ...words, '--no-readback', '--newdb', 'unseen')
  })

  it('that only arranges its files anew passes', async () => {
    class Compacting extends MemoryStore {
      override async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal) {
        await super.restoreShard(id, r, signal)
        const files = this.shards.get(id)?.files
        const [file] = files?.values() ?? []
        files?.clear()
        const bytes = Buffer.from(await tsmBytes({ 'm ö': [[11], [12]] }))
        files?.set('000000002-000000002.tsm', { mtime: file?.mtime ?? new Date(0), bytes })
      }
    }
    const { host } = await serveEmpty((data) => new Compacting(data))
    await expectCode(0, 'restore', '--host', host, '--db', 'two words', await backedUp())
  })

  it('that gives rubbish back ends with 15', async () => {
    class Rotting extends MemoryStore {
      override async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal) {
        await super.restoreShard(id, r, signal)
        for (const { bytes } of this.shards.get(id)?.files.values() ?? []) bytes.fill(0)
      }
    }
    const { host } = await serveEmpty((data) => new Rotting(data))
    const words = ['--db', 'two words', await backedUp()]
    const { error } = await expectCode(15, 'restore', '--host', host, ...words)
    expect(error?.message).toContain('000000001-000000001.tsm')
  })

  it('that maps no shards ends with 15', async () => {
    class Forgetting extends MemoryStore {
      #read = 0
      override data() {
        // The second time is when the update comes.
        return this.#read++ === 0 ? dataOf({ telegraf: {} }) : super.data()
      }
    }
    const { host } = await serveEmpty((data) => new Forgetting(data))
    const words = ['--db', 'telegraf', await backedUp()]
    const { error } = await expectCode(15, 'restore', '--host', host, ...words)
    expect(error?.message).toContain('did not change its metadata')
  })

  it('that is to be a file ends with 15', async () => {
    const root = await tempDir('file')
    await writeFile(join(root, 'data'), 'mine')
    const { flags } = directoryAt(root)
    const { error } = await expectCode(15, 'restore', ...flags, await backedUp())
    expect(error?.message).toContain(join(root, 'data'))
  })
})

describe('a signal', () => {
  it('waits for the answer that tells which shards were made', async () => {
    class Slow extends MemoryStore {
      updates = 0
      override async setData(data: Data) {
        this.updates++
        await sleep(500)
        await super.setData(data)
      }
    }
    const { host, store } = await serveEmpty((data) => new Slow(data))
    const words = ['restore', '--host', host, '--db', 'two words', await backedUp()]
    const context = await worldOf(words)
    const running = finish(context)
    await vi.waitFor(() => expect(store.updates).toBe(1), 20_000)
    context.signals.emit('SIGTERM')
    const { code, stderr } = await running
    expect(code).toBe(143)
    expect(stderr).toContain(`error: left on ${host}: database "two words": shards empty: 1`)
  })

  it('ends a restore, which says what is left', async () => {
    class Waiting extends MemoryStore {
      waits = 0
      override async restoreShard(_id: bigint, _r: AsyncIterable<Uint8Array>, signal: AbortSignal) {
        this.waits++
        await sleep(60_000, undefined, { signal })
      }
    }
    const { host, store } = await serveEmpty((data) => new Waiting(data))
    const words = ['restore', '--host', host, '--db', 'two words', await backedUp(), '--json']
    const context = await worldOf(words)
    const running = finishJson(context)
    await vi.waitFor(() => expect(store.waits).toBe(1), 20_000)
    context.signals.emit('SIGTERM')
    const { code, stderr } = await running
    expect(code).toBe(143)
    expect(stderr).toContain(`error: left on ${host}: database "two words"`)
  })
})

describeWithInfluxd('an influxd', () => {
  it('has the databases, the empty one too, and the points that were not deleted', async () => {
    const server = await startInfluxd()
    onTestFinished(() => server.dispose())
    await expectCode(0, 'restore', '--host', server.host, await backedUp())
    const [names] = await server.query('SHOW DATABASES')
    expect(names?.values?.flat()).toEqual(['telegraf', 'two words', 'empty'])
    const points = await server.query('SELECT * FROM cpu', { db: 'telegraf' })
    expect(points[0]?.values?.map(([time]) => time)).toEqual([1, 3, 4, HOUR])
    const { error } = await expectCode(17, 'restore', '--host', server.host, await backedUp())
    expect(error?.message).toContain('database "telegraf" exists on')
  })
})
