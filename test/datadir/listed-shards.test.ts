import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDataDirectory } from '../../src/datadir/index.ts'
import { readShardState } from '../../src/datadir/shard-state.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { pathsIn } from './shard-files.ts'

const ALL = [1n, 2n, 3n, 4n, 9n, 10n, 77n]

/** A data directory with shards of several policies, one that is deleted, and one that its metastore does not know. */
async function open() {
  const { root } = await makeDirectory()
  await mkdir(join(root, 'data/telegraf/autogen/77'))
  const { tsdbStore } = await openDataDirectory(pathsIn(root), { mode: 'read-only' })
  return { root, store: tsdbStore }
}

describe('listShards', () => {
  it('finds what is on disk as looking for each shard does', async () => {
    const { store } = await open()
    const listed = await store.listShards(ALL, false)
    expect([...listed].map(([id, { path }]) => `${id} ${path}`)).toEqual([
      '1 telegraf/autogen/1',
      '2 telegraf/autogen/2',
      '3 telegraf/short/3',
      '4 _internal/monitor/4',
      '10 two words/autogen/10',
      '77 telegraf/autogen/77',
    ])
    for (const id of ALL) expect(await store.shard(id)).toEqual(listed.get(id) && expect.anything())
    for (const { state } of listed.values()) expect(state).toBeUndefined()
  })

  it('tells the state of each where it is asked to', async () => {
    const { root, store } = await open()
    const listed = await store.listShards([1n, 2n], true)
    for (const [id, path] of [
      [1n, 'telegraf/autogen/1'],
      [2n, 'telegraf/autogen/2'],
    ] as const) {
      const [dataPath, walPath] = [join(root, 'data', path), join(root, 'wal', path)]
      expect(listed.get(id)).toEqual({ path, state: await readShardState({ dataPath, walPath }) })
    }
    expect(listed.get(1n)?.state).not.toEqual(listed.get(2n)?.state)
  })

  it('finds shards without a WAL directory, and none where nothing is', async () => {
    const { root, store } = await open()
    await rm(join(root, 'wal'), { recursive: true })
    expect((await store.listShards([1n, 2n], true)).size).toBe(2)
    await rm(join(root, 'data/telegraf'), { recursive: true })
    expect((await store.listShards([1n, 2n, 3n], true)).size).toBe(0)
  })

  it.each(['data', 'wal'])('refuses a shard that leads out of the %s directory', async (name) => {
    const { root, store } = await open()
    const path = join(root, name, 'telegraf/autogen/1')
    await rename(path, join(root, 'elsewhere'))
    await symlink(join(root, 'elsewhere'), path)
    await expect(store.listShards([1n], true)).rejects.toMatchObject({ code: 'E_SOURCE' })
    await rm(path)
    await writeFile(path, '')
    await expect(store.listShards([1n], true)).rejects.toThrow('expected a directory')
  })

  it('refuses a policy that leads out of the directory', async () => {
    const { root, store } = await open()
    await rename(join(root, 'data/telegraf/short'), join(root, 'elsewhere'))
    await symlink(join(root, 'elsewhere'), join(root, 'data/telegraf/short'))
    await expect(store.listShards([3n], false)).rejects.toThrow('expected a directory')
  })
})
