import { describe, expect, it } from 'vitest'
import { type ChainOptions, findChain } from '../../src/operations/stock-chain.ts'
import { archiveName, listSets, parseFileName, readSet } from '../../src/portable/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { rejected } from '../protocol/thrown.ts'
import { hour } from './prune-sets.ts'
import { file, putStockSets, type StockFile, type StockSet } from './stock-sets.ts'

const TEMP = await tempDir('chain')

async function storeOf(...sets: readonly StockSet[]): Promise<MemoryStore> {
  const store = new MemoryStore()
  await putStockSets(store, ...sets)
  return store
}

/** The sets whose archives count for each shard that is of a chain, newest first, by their hours; `+` is all of it, `t` tombstones alone. */
async function chainIn(store: MemoryStore, options: Partial<ChainOptions> = {}) {
  const listing = await listSets(store)
  const [newest] = listing.sets
  if (newest === undefined) throw new Error('no set')
  const found = await findChain(store, await readSet(listing, newest), {
    ...{ isWanted: () => true, tempDir: TEMP },
    ...options,
  })
  const hours = new Map(Array.from({ length: 100 }, (_, at) => [hour(at), at]))
  return Object.fromEntries(
    [...found].map(([id, parts]) => [
      id,
      parts.map(({ name, onlyTombstones }) => {
        const at = hours.get(parseFileName(name)?.set ?? '')
        return `${at}${onlyTombstones ? 't' : '+'}`
      }),
    ]),
  )
}

/** Sets of shard 1, one an hour from 10 on, the oldest first. */
async function chainOf(
  archives: readonly (readonly StockFile[])[],
  options: Partial<ChainOptions> = {},
): Promise<readonly string[] | undefined> {
  const sets = archives.map((files, i) => ({ at: 10 + i, shards: { 1: files } }))
  return (await chainIn(await storeOf(...sets), options))['1']
}

const deletion = (generation: number, written: number, from: number, to: number): StockFile => ({
  ...{ generation, written },
  deleted: { series: 'm', from, to },
})

describe('what counts of the archives of a shard', () => {
  it.each<[string, readonly (readonly StockFile[])[], readonly string[] | undefined]>([
    [
      'has each file of the older one',
      [[file(1, 1, [1])], [file(1, 1, [1]), file(2, 9, [2])]],
      undefined,
    ],
    ['is the same', [[file(1, 1, [1])], [file(1, 1, [1])]], undefined],
    [
      'has every point, of files that were compacted',
      [[file(1, 1, [1]), file(2, 1, [2])], [file(3, 9, [1, 2, 5])]],
      undefined,
    ],
    [
      'lacks a point between others, of a file newer than its oldest',
      [
        [file(1, 1, [1]), file(2, 5, [2])],
        [file(1, 1, [1]), file(3, 9, [3])],
      ],
      undefined,
    ],
    [
      'lacks a point between others, of a file older than all of its',
      [[file(1, 4, [2])], [file(3, 9, [1, 3])]],
      ['11+', '10+'],
    ],
    [
      'lacks a point that is not between others',
      [
        [file(1, 1, [1]), file(2, 5, [4])],
        [file(1, 1, [1]), file(3, 9, [3])],
      ],
      ['11+', '10+'],
    ],
    [
      'lacks a point of a file as new as its set, which may have been cut',
      [
        [file(1, 1, [1]), file(2, 10, [2])],
        [file(1, 1, [1]), file(3, 9, [3])],
      ],
      ['11+', '10+'],
    ],
    ['is empty', [[file(1, 1, [1])], []], ['10+']],
    ['holds tombstones alone', [[file(1, 1, [1, 2])], [deletion(1, 9, 1, 1)]], ['11t', '10+']],
    ['has files that are new', [[file(1, 1, [1])], [file(2, 9, [2])]], ['11+', '10+']],
    ['has another file of the same name', [[file(1, 1, [1])], [file(1, 1, [1, 2])]], undefined],
    [
      'is one of three with other points',
      [[file(1, 1, [1])], [file(2, 5, [2])], [file(3, 9, [3])]],
      ['12+', '11+', '10+'],
    ],
    [
      'lacks what an older one lacks too, of one that was compacted',
      [[file(1, 1, [1])], [file(2, 5, [1, 2])], [file(3, 9, [3])]],
      ['12+', '11+'],
    ],
    [
      'is followed by one that adds but tombstones, and one that they are for',
      [[file(1, 1, [1, 2, 3])], [file(2, 5, [5]), deletion(1, 5, 2, 2)], [file(3, 9, [5, 7])]],
      ['12+', '11t', '10+'],
    ],
    [
      'is followed by one that adds tombstones for nothing older',
      [[file(2, 1, [5])], [file(2, 1, [5]), deletion(2, 5, 9, 9)], [file(3, 9, [5, 7])]],
      undefined,
    ],
    [
      'is followed by one that has nothing more',
      [[file(1, 1, [1])], [file(2, 9, [2])], [file(2, 9, [2])]],
      ['12+', '10+'],
    ],
  ])('if the newest %s', async (_, archives, kept) => {
    expect(await chainOf(archives)).toEqual(kept)
  })

  it('if the user says that the newest is whole, or that all count', async () => {
    const compacted = [[file(1, 1, [1])], [file(2, 5, [1, 2])], [file(3, 9, [1, 2, 3])]]
    expect(await chainOf(compacted)).toBeUndefined()
    expect(await chainOf(compacted, { choice: 'union' })).toEqual(['12+', '11+', '10+'])
    const lacking = [[file(1, 1, [1])], [file(2, 9, [2])]]
    expect(await chainOf(lacking, { choice: 'newest' })).toBeUndefined()
  })

  it('if there is none in the newest set: the newest there is, which stands for itself', async () => {
    const store = await storeOf(
      { at: 10, shards: { 1: [file(1, 1, [1])], 2: [file(1, 1, [9])] } },
      { at: 11, shards: { 1: [file(1, 1, [1])] } },
    )
    expect(await chainIn(store)).toEqual({})
  })

  it('if the newest metastore does not know the shard: it stays dropped', async () => {
    const [old, fresh] = [[file(1, 1, [1])], [file(2, 9, [2])]]
    const store = await storeOf(
      { at: 10, shards: { 1: old, 2: old } },
      { at: 11, shards: { 1: fresh, 2: fresh } },
      { at: 12, shards: { 1: fresh }, known: [1] },
    )
    expect(await chainIn(store)).toEqual({ 1: ['12+', '10+'] })
  })

  it('if the oldest file of the set is in another shard', async () => {
    const [one, two] = [[file(1, 4, [1]), file(2, 5, [2])], [file(1, 1, [9])]]
    const next = [file(3, 9, [1, 3])]
    const proven = await storeOf(
      { at: 10, shards: { 1: one, 2: two } },
      { at: 11, shards: { 1: next, 2: two } },
    )
    expect(await chainIn(proven)).toEqual({})
    const unproven = await storeOf({ at: 10, shards: { 1: one } }, { at: 11, shards: { 1: next } })
    expect(await chainIn(unproven)).toEqual({ 1: ['11+', '10+'] })
  })
})

describe('the archives of a chain', () => {
  const archives = { 1: [file(1, 1, [1])], 2: [file(1, 1, [2])] }
  const newer = { 1: [file(2, 9, [3])], 2: [file(2, 9, [4])] }
  const sets = [
    { at: 10, shards: archives },
    { at: 11, shards: newer },
  ]

  it('are not read of shards that nobody wants, nor if the newest is whole by order', async () => {
    const store = await storeOf(...sets)
    store.files.set(archiveName(hour(10), 2n), Buffer.from('rubbish of more than eight bytes'))
    const isWanted = ({ shardId }: { readonly shardId: bigint }) => shardId === 1n
    expect(await chainIn(store, { isWanted })).toEqual({ 1: ['11+', '10+'] })
    expect(await chainIn(store, { choice: 'newest' })).toEqual({})
  })

  it.each(['rubbish of more than eight bytes', 'short', ''])(
    'are named if damaged: %j',
    async (text) => {
      const store = await storeOf(...sets)
      const name = archiveName(hour(10), 2n)
      store.files.set(name, Buffer.from(text))
      const error = await rejected(chainIn(store))
      expect(error).toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining(name) })
    },
  )

  it('are read once if several sets have the same, and not again if they are remembered', async () => {
    const same = Array.from({ length: 20 }, (_, i) => ({ at: 10 + i, shards: archives }))
    const store = await storeOf(...same)
    const readBy = async (work: () => Promise<unknown>) => {
      const before = store.bytesRead
      await work()
      return store.bytesRead - before
    }
    const small = await readBy(() => chainIn(store, { choice: 'newest' }))
    const size = store.files.get(archiveName(hour(10), 1n))?.length ?? 0
    const first = await readBy(() => chainIn(store))
    expect(first - small).toBeLessThan(2 * (size + 20 * 8) + 1)
    const memory = { files: new Map(), whole: new Set<string>() }
    await chainIn(store, { memory })
    expect(memory.whole).toEqual(new Set([archiveName(hour(29), 1n), archiveName(hour(29), 2n)]))
    expect(await readBy(() => chainIn(store, { memory }))).toBe(small)
  })

  it('older than one that is known to be whole do not count', async () => {
    const store = await storeOf(
      { at: 10, shards: { 1: [file(1, 1, [1])] } },
      { at: 11, shards: { 1: [file(2, 9, [2])] } },
      { at: 12, shards: { 1: [file(3, 9, [3])] } },
    )
    const whole = new Set([archiveName(hour(11), 1n)])
    expect(await chainIn(store, { memory: { files: new Map(), whole } })).toEqual({
      1: ['12+', '11+'],
    })
    expect(await chainIn(store)).toEqual({ 1: ['12+', '11+', '10+'] })
  })

  it('of one set alone are no chain', async () => {
    expect(await chainIn(await storeOf({ at: 10, shards: archives }))).toEqual({})
  })
})
