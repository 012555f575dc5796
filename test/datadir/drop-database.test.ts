import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { type DataDirectory, openDataDirectory } from '../../src/datadir/index.ts'
import { findDatabase } from '../../src/meta/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { makeMeta, pathsIn, tarOf, tsmBytes, tsmName } from './shard-files.ts'

const { signal } = new AbortController()
const IDS = [1n, 2n]

let dir: string

async function open(mode: 'read-write' | 'read-only' = 'read-write'): Promise<DataDirectory> {
  return await openDataDirectory(pathsIn(dir, 'tsi1'), { mode, influxdIsStopped: true })
}

/** Makes both shards; the first one gets a file. */
async function fill(directory: DataDirectory): Promise<void> {
  for (const id of IDS) await directory.tsdbStore.createShard('db', 'rp', id)
  const files = { [tsmName(1)]: await tsmBytes({ a: [[1, 2]] }) }
  const tar = await tarOf(files, 1n)
  const body = (async function* () {
    yield tar
  })()
  await directory.tsdbStore.restoreShard(1n, body, signal)
}

async function treeBelow(...names: string[]): Promise<string[]> {
  return Object.keys(await treeOf(join(dir, ...names)))
}

beforeEach(async () => {
  dir = await tempDir('drop')
  await makeMeta(dir, IDS)
})

describe('dropDatabase', () => {
  it('leaves nothing of the database, and its numbers taken', async () => {
    const directory = await open()
    await fill(directory)
    expect(await treeBelow('data')).toContain(`db/rp/1/${tsmName(1)}`)
    await directory.dropDatabase('db', new Set(IDS))
    const data = await directory.metaClient.data()
    expect(findDatabase(data, 'db')).toBeUndefined()
    expect(data.maxShardId).toBe(2n)
    await directory.dropDatabase('db', new Set(IDS))
    await directory.close()
    expect(await treeBelow('data')).toEqual([])
    expect(await treeBelow('wal')).toEqual([])
  })

  it('leaves what is not of its shards', async () => {
    const directory = await open()
    await fill(directory)
    await mkdir(join(dir, 'data/db/_series'))
    await writeFile(join(dir, 'data/db/_series/0000'), 'x')
    await mkdir(join(dir, 'wal/db/rp/77'))
    await directory.dropDatabase('db', new Set(IDS))
    await directory.close()
    expect(await treeBelow('data')).toEqual(['db', 'db/_series', 'db/_series/0000'])
    expect(await treeBelow('wal')).toEqual(['db', 'db/rp', 'db/rp/77'])
  })

  it('takes shards that have no directories', async () => {
    const directory = await open()
    await directory.tsdbStore.createShard('db', 'rp', 2n)
    await directory.dropDatabase('db', new Set(IDS))
    await directory.close()
    expect(await treeBelow('data')).toEqual([])
  })

  it('refuses a database with a shard of somebody else, and changes nothing', async () => {
    const directory = await open()
    await fill(directory)
    const before = await treeOf(dir)
    await expect(directory.dropDatabase('db', new Set([1n]))).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('shard 2'),
    })
    expect(await treeOf(dir)).toEqual(before)
    await directory.close()
  })

  it('refuses a directory that leads elsewhere', async () => {
    const elsewhere = await tempDir('elsewhere')
    await mkdir(join(elsewhere, 'rp/1'), { recursive: true })
    await writeFile(join(elsewhere, 'rp/1/file'), 'x')
    await mkdir(join(dir, 'data'))
    await symlink(elsewhere, join(dir, 'data/db'))
    const directory = await open()
    await expect(directory.dropDatabase('db', new Set(IDS))).rejects.toMatchObject({
      code: 'E_SOURCE',
    })
    await directory.close()
    expect(Object.keys(await treeOf(elsewhere))).toContain('rp/1/file')
  })

  it('refuses a directory that is open for reading', async () => {
    const writable = await open()
    await fill(writable)
    await writable.close()
    const directory = await open('read-only')
    await expect(directory.dropDatabase('db', new Set(IDS))).rejects.toMatchObject({
      code: 'E_DESTINATION',
    })
    await directory.close()
    expect(await treeBelow('data')).toContain(`db/rp/1/${tsmName(1)}`)
  })
})
