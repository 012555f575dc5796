import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { SetWriter } from '../../src/operations/set-writer.ts'
import { listSets } from '../../src/portable/sets.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { isThere } from '../cli/commands/targets.ts'
import { once, tarOf } from '../datadir/shard-files.ts'
import { tempDir } from '../helpers/temp.ts'

const shard = { database: 'db', retentionPolicy: 'rp', shardId: 1n }
const facts = {
  tool: { name: 'snap', version: '0' },
  kind: 'full',
  server: { clusterId: 1n },
  selection: {},
  completeness: 'unconfirmed',
  skipped: [],
  shards: [],
} as const

async function begun(store: LocalStore) {
  const set = await SetWriter.begin(store, await listSets(store))
  const tar = await tarOf({ '000000001-000000001.tsm': 'not looked into here' })
  const stage = (id = 1n) =>
    set.stageShard(
      { shard: { ...shard, shardId: id }, tar: once(tar), compression: 'gzip' },
      () => ({ files: [] }),
    )
  return { set, stage }
}

describe('SetWriter', () => {
  it('has nothing under a final name before it is committed', async () => {
    const store = new LocalStore(join(await tempDir('set'), 'sets'))
    const { set, stage } = await begun(store)
    await stage()
    for (const name of await readdir(store.url)) expect(name).toMatch(/\.pending$/)
    await set.commit(Buffer.alloc(0), facts)
    const ends = ['manifest', 'meta', 's1.json', 's1.tar.gz', 'snap.json']
    expect((await readdir(store.url)).sort()).toEqual(ends.map((end) => `${set.name}.${end}`))
  })

  it('leaves nothing when it is discarded, not even the directory it made', async () => {
    const store = new LocalStore(join(await tempDir('set'), 'a/b'))
    const { set, stage } = await begun(store)
    await stage()
    await set.discard()
    expect(await isThere(store.url)).toBe(false)
  })

  it('refuses to write a shard twice, unless it was taken back', async () => {
    const store = new LocalStore(await tempDir('set'))
    const { set, stage } = await begun(store)
    await stage()
    await expect(stage()).rejects.toMatchObject({ code: 'E_FAILED' })
    await stage(2n)
    await set.unstageShard(2n)
    await stage(2n)
    await set.discard()
    expect(await readdir(store.url)).toEqual([])
  })

  it('takes back what got its name when the rest cannot get theirs', async () => {
    const store = new LocalStore(await tempDir('set'))
    const { set, stage } = await begun(store)
    await stage()
    await writeFile(join(store.url, `${set.name}.snap.json`), 'in the way')
    await expect(set.commit(Buffer.alloc(0), facts)).rejects.toMatchObject({
      code: 'E_TARGET_EXISTS',
    })
    await set.discard()
    expect(await readdir(store.url)).toEqual([`${set.name}.snap.json`])
  })

  it('is given up without a word about what cannot be tidied up', async () => {
    class Stuck extends LocalStore {
      override async delete(): Promise<void> {
        throw new SnapError('E_DESTINATION', 'no')
      }
    }
    const store = new Stuck(await tempDir('set'))
    const { set } = await begun(store)
    await set.discard()
    expect(await readdir(store.url)).toEqual([`${set.name}.pending`])
  })

  it('leaves no directory where no name could be taken', async () => {
    class Full extends LocalStore {
      override async reserve(name: string, text: string): Promise<boolean> {
        await super.reserve(name, text)
        await rm(join(this.url, `${name}.pending`))
        throw new SnapError('E_DESTINATION', 'full')
      }
    }
    const store = new Full(join(await tempDir('set'), 'sets'))
    await expect(begun(store)).rejects.toThrow('full')
    expect(await isThere(store.url)).toBe(false)
  })
})
