import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SetWish } from '../../src/portable/index.ts'
import { listSets, manifestName, selectSet } from '../../src/portable/index.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { entry, smallStore, snapFiles, stockFiles, writeFiles } from './samples.ts'

const [A, B, C, D] = [
  '20240101T000000Z',
  '20240102T000000Z',
  '20240103T000000Z',
  '20240104T000000Z',
]

const failure = (code: string, message: RegExp, hint?: RegExp) =>
  expect.objectContaining({
    ...{ code, message: expect.stringMatching(message) },
    ...(hint === undefined ? {} : { hint: expect.stringMatching(hint) }),
  })

async function place(...sets: readonly ReadonlyMap<string, Uint8Array>[]) {
  const directory = await tempDir('sets')
  await writeFiles(directory, ...sets)
  const store = new LocalStore(directory)
  return {
    directory,
    select: async (wish: SetWish) => await selectSet(await listSets(store), wish),
    chosen: async (wish: SetWish) => (await selectSet(await listSets(store), wish)).name,
  }
}

/** A: all; B: only other; C: only policy autogen of db; D: only shard 2. */
const several = () =>
  place(
    snapFiles(A, { entries: [entry(A, 1n), entry(A, 2n), entry(A, 3n, 'other')] }),
    snapFiles(B, {
      entries: [entry(B, 3n, 'other')],
      catalog: { selection: { databases: ['other'] } },
    }),
    snapFiles(C, {
      entries: [entry(C, 1n), entry(C, 2n)],
      catalog: { selection: { databases: ['db'], retentionPolicy: 'autogen' } },
    }),
    snapFiles(D, { entries: [entry(D, 2n)], catalog: { selection: { shardIds: [2n] } } }),
  )

describe('selectSet', () => {
  it.each<[string, SetWish, string]>([
    ['nothing in particular', {}, D],
    ['a database', { database: 'db' }, A],
    ['a database that an older set was made for', { database: 'other' }, B],
    ['a policy', { database: 'db', retentionPolicy: 'autogen' }, C],
    ['a shard', { database: 'db', retentionPolicy: 'autogen', shardId: 1n }, C],
    ['a shard alone', { shardId: 2n }, D],
    ['a policy without shards', { database: 'db', retentionPolicy: 'empty' }, A],
    ['a database without shards', { database: 'bare' }, A],
    ['a policy of any database', { retentionPolicy: 'autogen' }, D],
    ['two databases', { database: 'other', also: [{ database: 'db' }] }, A],
    ['two shards', { shardId: 1n, also: [{ shardId: 2n }] }, C],
    ['a name', { set: A, database: 'db' }, A],
    ['a name and a part of a database', { set: D, database: 'db' }, D],
    ['a time between sets', { set: new Date('2024-01-02T23:59:59Z') }, B],
    ['the time of a set', { set: new Date('2024-01-01T00:00:00Z') }, A],
    ['a time and a database', { set: new Date('2024-01-03T23:59:59Z'), database: 'other' }, B],
  ])('for %s takes the newest set that holds it', async (_what, wish, name) => {
    expect(await (await several()).chosen(wish)).toBe(name)
  })

  it.each<[string, SetWish, RegExp]>([
    ['a database', { database: 'nosuch' }, /database nosuch is not in any set$/],
    [
      'a policy',
      { database: 'db', retentionPolicy: 'no' },
      /database db, retention policy no is not in any set$/,
    ],
    ['a shard', { shardId: 9n }, /shard 9 is not in any set$/],
    [
      'a database in a set',
      { set: B, database: 'db' },
      /database db is not in set 20240102T000000Z$/,
    ],
    [
      'one of two databases in a set',
      { set: B, database: 'other', also: [{ database: 'db' }] },
      /database other and database db is not in set 20240102T000000Z as a whole$/,
    ],
    [
      'a set',
      { set: '20240109T000000Z' },
      /no set 20240109T000000Z, the newest is 20240104T000000Z$/,
    ],
    [
      'a time',
      { set: new Date(0) },
      /no set begun at or before 1970-.*, the oldest is 20240101T000000Z$/,
    ],
  ])('says that %s is not there', async (_what, wish, message) => {
    const { select } = await several()
    await expect(select(wish)).rejects.toEqual(failure('E_NOTHING_MATCHED', message))
  })

  it.each<[SetWish, string]>([
    [{ database: 'otter' }, 'did you mean other? there are: db, other'],
    [{ database: 'db', retentionPolicy: 'autogem' }, 'did you mean autogen? there are: autogen'],
    [{ retentionPolicy: 'autogem' }, 'did you mean autogen? there are: autogen'],
  ])('hints at the names that there are: %o', async (wish, hint) => {
    const { select } = await several()
    await expect(select(wish)).rejects.toMatchObject({ code: 'E_NOTHING_MATCHED', hint })
  })

  it('hints at the newest set with a part of what no set holds as a whole', async () => {
    const { select } = await place(
      snapFiles(A, { entries: [entry(A, 1n)], catalog: { selection: { shardIds: [1n] } } }),
      snapFiles(B, {
        entries: [entry(B, 3n, 'other')],
        catalog: { selection: { excludeDatabases: ['db'] } },
      }),
    )
    await expect(select({ database: 'db' })).rejects.toEqual(
      failure(
        'E_NOTHING_MATCHED',
        /database db is not in any set as a whole$/,
        /set 20240101T000000Z has a part of it \(--set 20240101T000000Z\)/,
      ),
    )
    const bare = failure('E_NOTHING_MATCHED', /not in any set$/)
    await expect(select({ retentionPolicy: 'no' })).rejects.toEqual(bare)
  })

  it('takes a set without _internal for one that left it out by default', async () => {
    const meta = smallStore()
    const [bare] = meta.databases.slice(-1)
    if (bare !== undefined) bare.name = '_internal'
    const all = { selection: { excludeDatabases: [] } }
    const { chosen } = await place(
      snapFiles(A, { entries: [entry(A, 1n)], meta, catalog: all }),
      snapFiles(B, { entries: [entry(B, 1n)], meta }),
    )
    expect(await chosen({ database: 'db' })).toBe(B)
    expect(await chosen({ database: '_internal' })).toBe(A)
  })

  it('takes a stock set for what it has archives of and for what its metastore says is empty', async () => {
    const { chosen } = await place(stockFiles(A, { entries: [entry(A, 1n)] }))
    expect(await chosen({})).toBe(A)
    expect(await chosen({ database: 'db' })).toBe(A)
    expect(await chosen({ database: 'bare', retentionPolicy: 'autogen' })).toBe(A)
    const nothing = failure('E_NOTHING_MATCHED', /other is not in any set$/)
    await expect(chosen({ database: 'other' })).rejects.toEqual(nothing)
  })

  it('never passes over a damaged newer set in silence', async () => {
    const { directory, select, chosen } = await several()
    await writeFile(join(directory, manifestName(D)), '{')
    const hint = /set 20240104T000000Z is damaged; an older one is 20240103T000000Z/
    await expect(select({})).rejects.toEqual(failure('E_INTEGRITY', /not JSON/, hint))
    expect(await chosen({ set: B })).toBe(B)
    await writeFile(join(directory, manifestName(A)), '{')
    await expect(select({ set: A })).rejects.toEqual(failure('E_INTEGRITY', /not JSON/))
  })

  it('never passes over a newer set without its manifest in silence', async () => {
    const { directory, select, chosen } = await several()
    await rm(join(directory, manifestName(C)))
    const missing = failure('E_INTEGRITY', /20240103T000000Z\.manifest is missing/, /--set/)
    expect(await chosen({})).toBe(D)
    for (const set of [undefined, new Date('2024-01-03T00:00:00Z')]) {
      await expect(select({ set, database: 'db' })).rejects.toEqual(missing)
    }
    expect(await chosen({ set: new Date('2024-01-02T23:59:59Z') })).toBe(B)
    expect(await chosen({ set: A })).toBe(A)
    await expect(select({ set: C })).rejects.toEqual(missing)
    for (const set of [A, B, D]) await rm(join(directory, manifestName(set)))
    await expect(select({})).rejects.toEqual(failure('E_INTEGRITY', /manifest is missing/))
  })

  it('takes no set for damaged that a run is at work on, or a prune was', async () => {
    const { directory, chosen } = await several()
    await rm(join(directory, manifestName(D)))
    for (const name of [`${D}.pending`, 'prune.pending']) {
      await writeFile(join(directory, name), '')
      expect(await chosen({})).toBe(C)
      await rm(join(directory, name))
    }
  })

  it('takes no set for damaged that was finished while the place was listed', async () => {
    const { directory } = await several()
    const store = new LocalStore(directory)
    const listing = await listSets(store)
    const sets = listing.sets.filter(({ name }) => name !== D)
    expect((await selectSet({ ...listing, sets }, {})).name).toBe(C)
  })

  it('tells a place without backups from one with others or unfinished ones', async () => {
    const nothing = await place()
    await expect(nothing.select({})).rejects.toEqual(failure('E_NO_BACKUP', /^no backup in \//))
    await writeFile(join(nothing.directory, `${A}.manifest.pending`), '')
    const unfinished = failure('E_NO_BACKUP', /only an unfinished one/, /\.pending/)
    await expect(nothing.select({})).rejects.toEqual(unfinished)
    await writeFile(join(nothing.directory, 'meta.00'), '')
    const legacy = failure('E_NO_BACKUP', /no portable sets/, /without -portable/)
    await expect(nothing.select({})).rejects.toEqual(legacy)
    const missing = new LocalStore(join(nothing.directory, 'no'))
    await expect(selectSet(await listSets(missing), {})).rejects.toEqual(
      failure('E_NO_BACKUP', /no backup in/),
    )
  })

  it('passes errors on that are no damage', async () => {
    const source = {
      url: 'memory',
      async *list() {
        yield { name: manifestName(A), size: 0, modified: new Date(0) }
      },
      // biome-ignore lint/correctness/useYield: it fails before its first chunk
      async *read(): AsyncGenerator<Uint8Array> {
        throw new TypeError('broken')
      },
    }
    await expect(selectSet(await listSets(source), {})).rejects.toThrow(TypeError)
  })
})
