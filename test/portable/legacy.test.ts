import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { emptyData, encodeData } from '../../src/meta/index.ts'
import { readLegacy } from '../../src/portable/index.ts'
import { isLegacyFile } from '../../src/portable/legacy.ts'
import { listFiles } from '../../src/portable/source.ts'
import { encodeMetastoreFrame } from '../../src/protocol/index.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { smallStore } from './samples.ts'

const STOCK = join(import.meta.dirname, '../fixtures/legacy/increments')

async function read(directory: string) {
  const store = new LocalStore(directory)
  return await readLegacy(store, await listFiles(store))
}

const metaFile = (data = smallStore()) =>
  encodeMetastoreFrame({ meta: encodeData(data), node: Buffer.from('null\n') })

async function place(files: Readonly<Record<string, string | Uint8Array>>) {
  const directory = await tempDir('legacy')
  for (const [name, body] of Object.entries(files)) await writeFile(join(directory, name), body)
  return directory
}

describe('readLegacy', () => {
  it('reads what influxd wrote: names with dots, ids that end in 0, increments in order', async () => {
    const backup = await read(STOCK)
    expect(backup?.metaFile).toEqual({ name: 'meta.03', increment: 3, size: 488 })
    expect(backup?.leftOut).toEqual([])
    const shards = backup?.shards.map(({ shardId, database, retentionPolicy, increments }) => [
      ...[shardId, database, retentionPolicy],
      increments.map(({ name, increment, size }) => `${name} ${increment} ${size}`),
    ])
    expect(shards?.sort(([a = 0], [b = 0]) => (a < b ? -1 : 1))).toEqual([
      [1n, 'plain', 'autogen', ['plain.autogen.00001.00 0 2048']],
      [10n, 'a.b', 'c', ['a.b.c.00010.00 0 2048', 'a.b.c.00010.01 1 1024']],
      [11n, 'a', 'b.c', ['a.b.c.00011.00 0 2048']],
      [12n, 'a', 'b.c', ['a.b.c.00012.00 0 2048']],
      [100n, 'a.b', 'c', ['a.b.c.00100.00 0 2048', 'a.b.c.00100.01 1 2048']],
    ])
    expect(Buffer.from(backup?.metaBytes ?? '')).toEqual(
      (await readFile(join(STOCK, 'meta.03'))).subarray(16, 16 + 459),
    )
  })

  it('takes the newest metastore by number and never an unfinished one', async () => {
    const directory = await place({
      'meta.99': metaFile(emptyData()),
      'meta.100': metaFile(),
      'meta.101.pending': 'cut',
      'meta.autogen.00001.00': 'the archive of a database called meta',
      'db.autogen.00001.100': '100',
      'db.autogen.00001.99': '99',
      'db.autogen.00002.00.pending': 'cut',
      README: 'x',
    })
    const backup = await read(directory)
    expect(backup?.metaFile.name).toBe('meta.100')
    expect(backup?.shards).toHaveLength(1)
    expect(backup?.shards[0]?.increments.map(({ increment }) => increment)).toEqual([99, 100])
    expect(backup?.leftOut).toEqual([
      {
        name: 'meta.autogen.00001.00',
        reason: 'the metastore says that the shard is of db.autogen',
      },
    ])
  })

  it('names shards that the metastore does not have, or has deleted', async () => {
    const directory = await place({
      'meta.00': metaFile(),
      'db.autogen.00009.00': 'gone',
      'bare.autogen.00004.00': 'deleted',
    })
    const backup = await read(directory)
    expect(backup?.shards).toEqual([])
    expect([...(backup?.leftOut ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      {
        name: 'bare.autogen.00004.00',
        reason: 'the metastore marks its shard group as deleted',
      },
      { name: 'db.autogen.00009.00', reason: 'the metastore has no such shard' },
    ])
  })

  it('is nothing without a metastore', async () => {
    expect(await read(await place({ 'db.autogen.00001.00': 'x', 'meta.00.pending': 'x' }))).toBe(
      undefined,
    )
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['is cut', metaFile().subarray(0, 40), /meta\.00: /],
    ['is something else', Buffer.alloc(100), /meta\.00: /],
    [
      'holds no metastore',
      encodeMetastoreFrame({ meta: Buffer.from([0xff]), node: Buffer.from('null') }),
      /meta\.00: offset/,
    ],
  ])('says that the metastore %s', async (_what, bytes, message) => {
    const run = read(await place({ 'meta.00': bytes }))
    await expect(run).rejects.toEqual(
      expect.objectContaining({ code: 'E_INTEGRITY', message: expect.stringMatching(message) }),
    )
  })
})

describe('isLegacyFile', () => {
  it('knows metastores and archives, not portable or unfinished files', () => {
    const names = ['meta.00', 'meta.123', 'db.autogen.00001.00', 'a b.c.123456.07']
    expect(names.filter(isLegacyFile)).toEqual(names)
    const others = ['meta.0', 'meta.00.pending', 'db.autogen.0001.00', '20240102T030405Z.meta']
    expect(others.filter(isLegacyFile)).toEqual([])
  })
})
