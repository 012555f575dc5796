import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { catalogName, listSets, manifestName, readSet } from '../../src/portable/index.ts'
import type { StoredObject } from '../../src/storage/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { entry, smallStore } from '../portable/samples.ts'
import {
  archives,
  hour,
  pruned,
  putSet,
  restorables,
  type SampleSet,
  storeOf,
} from './prune-sets.ts'
import { verified } from './sets.ts'

const DAYS = [0, 24, 48, 72]
const daily = (...samples: readonly Partial<SampleSet>[]) =>
  storeOf(...DAYS.map((at, index) => ({ at, ...samples[index] })))

/** Which sets go, by the hours at which they were made. */
async function removed(store: MemoryStore, options: Parameters<typeof pruned>[1] = {}) {
  const { sets } = await pruned(store, { confirm: false, ...options })
  return DAYS.filter((at) =>
    sets.some(({ set, action }) => set === hour(at) && action === 'remove'),
  )
}

/** Why a set is kept. */
async function reasons(store: MemoryStore, at: number, options: Parameters<typeof pruned>[1] = {}) {
  const { sets } = await pruned(store, { confirm: false, ...options })
  return sets.find(({ set }) => set === hour(at))?.reasons
}

const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'E_PRUNE_REFUSED', message: expect.stringMatching(message) })

describe('prune', () => {
  it('shows what it would do, and does it only when that is confirmed', async () => {
    const store = daily()
    const before = new Map(store.files)
    const planned = await pruned(store, { confirm: false, keep: { daily: 2 } })
    expect(store.files).toEqual(before)
    expect(planned.sets.map(({ set, action }) => `${set} ${action}`)).toEqual([
      `${hour(72)} keep`,
      `${hour(48)} keep`,
      `${hour(24)} remove`,
      `${hour(0)} remove`,
    ])
    const done = await pruned(store, { keep: { daily: 2 } })
    expect(done).toEqual(planned)
    const gone = [...before].filter(([name]) => !store.files.has(name))
    expect(gone).toHaveLength(done.freed.files)
    expect(gone.reduce((sum, [, bytes]) => sum + bytes.length, 0)).toBe(done.freed.bytes)
    expect([...(await restorables(store)).keys()]).toEqual([hour(72), hour(48)])
    expect(gone.every(([name]) => name < hour(48))).toBe(true)
  })

  it('wants a rule, and a place with sets', async () => {
    await expect(pruned(daily(), { keep: {} })).rejects.toMatchObject({ code: 'E_USAGE' })
    await expect(pruned(new MemoryStore())).rejects.toMatchObject({ code: 'E_NO_BACKUP' })
    await expect(pruned(daily(), { databases: ['DB'] })).rejects.toMatchObject({
      code: 'E_NOTHING_MATCHED',
    })
  })

  it('keeps archives and sidecars that other sets share, until the last of those goes', async () => {
    const store = daily(
      {},
      { own: [2], shared: { 1: 0, 3: 0 } },
      { own: [], shared: { 1: 0, 2: 24 } },
    )
    const whole = await restorables(store)
    await pruned(store, { keep: { last: 2 } })
    const left = (at: number) => [...store.files.keys()].filter((name) => name.startsWith(hour(at)))
    expect(left(0)).toEqual([...archives(0, 1), `${hour(0)}.s1.json`])
    expect(left(24)).toEqual([...archives(24, 2), `${hour(24)}.s2.json`])
    expect((await restorables(store)).get(hour(48))).toEqual(whole.get(hour(48)))
    const { strays, freed } = await pruned(store, { keep: { last: 1 } })
    expect({ left: [...left(0), ...left(24)], strays }).toEqual({
      left: [],
      strays: { files: 0, bytes: 0 },
    })
    expect(freed.files).toBe(3 + 4)
  })

  it('keeps the sets that one made with --since goes by, and those they go by', async () => {
    const samples = [
      {},
      { own: [2], unchanged: { 1: 0, 3: 0 } },
      { own: [2], unchanged: { 1: 24, 3: 24 } },
    ]
    const store = daily(...samples)
    const whole = await restorables(store)
    expect(await removed(store, { keep: { last: 1 } })).toEqual([0, 24, 48])
    const { sets } = await pruned(store, { keep: { last: 2 } })
    expect(sets.map((set) => set.reasons[0])).toEqual([
      { rule: 'last', databases: ['db', 'other'] },
      { rule: 'last', databases: ['db', 'other'] },
      { rule: 'needed', by: hour(48) },
      { rule: 'needed', by: hour(24) },
    ])
    expect(await restorables(store)).toEqual(whole)
  })

  it('keeps pinned sets, and what they need', async () => {
    const store = daily({}, { own: [], unchanged: { 1: 0 } })
    store.files.set(`${hour(24)}.pin`, Buffer.from(''))
    expect(await removed(store)).toEqual([48])
    expect(await reasons(store, 24)).toEqual([{ rule: 'pinned' }])
    expect(await reasons(store, 0)).toEqual([{ rule: 'needed', by: hour(24) }])
  })

  it('refuses if a manifest, a catalog or its own journal cannot be read', async () => {
    for (const name of [manifestName(hour(0)), catalogName(hour(24)), 'prune.pending']) {
      const store = daily()
      store.files.set(name, Buffer.from('{}'))
      const before = new Map(store.files)
      await expect(pruned(store)).rejects.toEqual(
        refusal(new RegExp(`^nothing was deleted: .*${name}`)),
      )
      expect(store.files).toEqual(before)
    }
    const store = daily()
    store.files.delete(catalogName(hour(24)))
    await expect(pruned(store)).rejects.toEqual(refusal(/catalog \S+ of set \S+ is missing/))
  })

  it('refuses if a set that is kept lacks a file, not if one does that goes', async () => {
    const gone = daily()
    gone.files.delete(archives(0, 1)[0] ?? '')
    expect(await removed(gone)).toEqual([0, 24, 48])
    await expect(pruned(gone, { keep: { last: 4 } })).rejects.toEqual(
      refusal(/set 20240101T000000Z would be kept, and \S+\.s1\.tar\.gz is missing$/),
    )
    const short = daily()
    for (const name of archives(72, 1, 2)) short.files.set(name, Buffer.from('short'))
    short.files.set(archives(48, 1)[0] ?? '', Buffer.from('short'))
    await expect(pruned(short, { keep: { last: 2 } })).rejects.toEqual(
      refusal(/s1\.tar\.gz has 5 bytes, expected \d+ \(and 1 more sets are damaged\)$/),
    )
  })

  it('passes on that the place cannot be read', async () => {
    class Unreachable extends MemoryStore {
      // biome-ignore lint/correctness/useYield: it fails before
      override async *read(): AsyncGenerator<Uint8Array> {
        throw new SnapError('E_SOURCE', 'no answer')
      }
    }
    const broken = (files: Iterable<readonly [string, Uint8Array]>) =>
      pruned(new Unreachable(files))
    await expect(broken(daily().files)).rejects.toMatchObject({ code: 'E_SOURCE' })
  })

  it('leaves sets alone that are being made, and strays', async () => {
    const store = daily()
    const others = [
      `${hour(99)}.pending`,
      `${hour(99)}.s1.tar.gz`,
      `${hour(99)}.s2.tar.gz.pending`,
      `${hour(98)}.s1.tar.gz`,
      'notes.txt',
      'meta.00',
    ]
    for (const name of others) store.files.set(name, Buffer.from(name))
    const { strays, unfinished } = await pruned(store)
    expect(others.filter((name) => !store.files.has(name))).toEqual([])
    expect({ strays, unfinished }).toEqual({
      strays: { files: 1, bytes: 26 },
      unfinished: [hour(99)],
    })
  })

  it('keeps what a set without its manifest shares: the manifest may be on its way', async () => {
    const store = daily({}, { own: [1], shared: { 2: 0, 3: 0 } })
    const name = `${hour(24)}.manifest`
    const manifest = store.files.get(name)
    store.files.delete(name)
    const before = [...store.files.keys()].filter((file) => /\.s[23]\./.test(file))
    const { freed } = await pruned(store, { keep: { last: 1 } })
    expect(freed.files).toBeGreaterThan(0)
    expect(before.filter((file) => file.startsWith(hour(0)) && !store.files.has(file))).toEqual([])
    store.files.set(name, manifest ?? Buffer.from(''))
    const listing = await listSets(store)
    const set = listing.sets.find((each) => each.name === hour(24))
    expect(set && (await readSet(listing, set)).missing).toEqual([])
    store.files.delete(name)
    store.files.set(`${hour(24)}.snap.json`, Buffer.from('{'))
    await expect(pruned(store, { keep: { last: 1 } })).rejects.toMatchObject({
      code: 'E_PRUNE_REFUSED',
      hint: expect.stringMatching(/remove \S+\.snap\.json$/),
    })
  })
})

describe('the rules of prune', () => {
  it('hold for each database by itself', async () => {
    const only = { own: [1, 2], catalog: { selection: { databases: ['db'] } } }
    const store = daily({}, only, only, only)
    expect(await removed(store, { keep: { last: 2 } })).toEqual([24])
    expect(await reasons(store, 0)).toEqual([{ rule: 'last', databases: ['other'] }])
    expect(await reasons(store, 72)).toEqual([{ rule: 'last', databases: ['db'] }])
  })

  it('let the sets of a dropped database grow old with the others', async () => {
    const store = daily({}, {}, { own: [1] }, { own: [1] })
    expect(await removed(store, { keep: { last: 2 } })).toEqual([0, 24])
    const chosen = daily({}, {}, { own: [1], catalog: { selection: { databases: ['db'] } } })
    expect(await removed(chosen, { keep: { last: 1 } })).toEqual([0, 24, 48])
    const excluded = { own: [1], catalog: { selection: { excludeDatabases: ['other'] } } }
    expect(await removed(daily({}, {}, excluded, excluded), { keep: { last: 1 } })).toEqual([0, 48])
  })

  it('never take a part of a database for the whole', async () => {
    const parts = [
      { retentionPolicy: 'autogen' },
      { shardIds: [1n] },
      { databases: ['db'], measurements: ['cpu'], tags: [{ key: 'host', value: 'a' }] },
    ]
    for (const selection of parts) {
      const part = { own: [1], catalog: { selection } }
      expect(await removed(daily({}, {}, part, part), { keep: { last: 1 } })).toEqual([0, 48])
      expect(await removed(daily(part, part, {}, {}), { keep: { last: 1 } })).toEqual([0, 24, 48])
    }
  })

  it('hold for sets of a server without a database', async () => {
    const store = daily({ own: [] }, { own: [] }, { own: [] }, { own: [] })
    expect(await removed(store, { keep: { last: 3 } })).toEqual([0])
  })

  it('touch only sets that hold nothing but the databases of --db', async () => {
    const only = { own: [1], catalog: { selection: { databases: ['db'] } } }
    const store = daily({}, only, only, {})
    expect(await removed(store, { databases: ['db'] })).toEqual([24, 48])
    expect(await reasons(store, 0, { databases: ['db'] })).toEqual([{ rule: 'other-databases' }])
    expect(await removed(store, { databases: ['db', 'other'] })).toEqual([0, 24, 48])
    expect(await removed(store, { databases: ['d?'] })).toEqual([24, 48])
    expect(await removed(store, { databases: ['d*', 'oth*'] })).toEqual([0, 24, 48])
    await expect(removed(store, { databases: ['db', 'x*'] })).rejects.toMatchObject({
      code: 'E_NOTHING_MATCHED',
    })
  })

  it('leave so many good sets of each database as they must', async () => {
    const bad = { catalog: { completeness: 'unconfirmed' } } as const
    const lost = {
      catalog: {
        skipped: [
          { shardId: 4n, database: 'bare', retentionPolicy: 'rp', reason: 'cut', lost: true },
        ],
      },
    }
    expect(await removed(daily({}, {}, bad, lost))).toEqual([0, 48])
    expect(await reasons(daily({}, {}, bad, lost), 24)).toEqual([
      { rule: 'min-sets', databases: ['db'] },
    ])
    expect(await removed(daily(bad, bad, lost, lost))).toEqual([0, 48])
    expect(await removed(daily(lost, lost, lost, lost))).toEqual([0, 24, 48])
    expect(await removed(daily({}, {}, bad, lost), { minSets: 3 })).toEqual([])
    expect(await removed(daily({}, {}, {}, {}), { minSets: 3 })).toEqual([0])
    const unheld = { own: [1, 2], unchanged: { 3: 70 } }
    expect(await removed(daily({}, {}, {}, unheld))).toEqual([0, 24])
  })

  it('do not count damaged sets as good ones', async () => {
    const lost = { own: [1, 2], unchanged: { 3: 70 } }
    const store = daily({}, {}, {}, lost)
    store.files.delete(archives(48, 1)[0] ?? '')
    expect(await removed(store)).toEqual([0, 48])
  })
})

describe('sets of influxd', () => {
  const stock = { stock: true }

  it('are kept, and do not count, unless they are included', async () => {
    const store = daily(stock, stock, {}, {})
    expect(await removed(store)).toEqual([48])
    expect(await reasons(store, 0)).toEqual([{ rule: 'stock' }])
    expect(await removed(store, { includeStock: true })).toEqual([0, 24, 48])
  })

  it('keep the older ones whose shards influxd would take with them', async () => {
    const store = daily(stock, { stock: true, own: [2] }, { stock: true, own: [2] })
    const whole = await restorables(store)
    store.files.delete(manifestName(hour(72)))
    const { sets } = await pruned(store, { includeStock: true })
    expect(sets.map(({ set, action }) => [set, action])).toEqual([
      [hour(48), 'keep'],
      [hour(24), 'remove'],
      [hour(0), 'keep'],
    ])
    expect((await restorables(store)).get(hour(48))).toEqual(whole.get(hour(48)))
  })

  it('refuse if an archive is nowhere, and take an older one for one that is gone', async () => {
    const store = daily(stock, stock, stock, stock)
    const [lost = '', older = ''] = [...archives(72, 1), ...archives(48, 1)]
    store.files.delete(lost)
    const options = { includeStock: true }
    expect(await reasons(store, 48, options)).toEqual([{ rule: 'needed', by: hour(72) }])
    for (const name of [older, ...archives(24, 1), ...archives(0, 1)]) store.files.delete(name)
    await expect(pruned(store, options)).rejects.toEqual(refusal(/s1\.tar\.gz is missing/))
    store.files.set(archives(72, 2)[0] ?? '', Buffer.from('?'))
    for (const name of [lost, older]) store.files.set(name, gzipSync(Buffer.alloc(1024)))
    await expect(pruned(store, options)).rejects.toEqual(refusal(/s2\.tar\.gz/))
    store.files.set(`${hour(72)}.meta`, Buffer.from('?'))
    await expect(pruned(store, options)).rejects.toEqual(refusal(/meta/))
  })

  it('hold no more than the shards that are live', async () => {
    const store = storeOf({ at: 0, stock: true, own: [] }, { at: 1, stock: true, own: [2] })
    expect(smallStore().databases).toHaveLength(3)
    expect(entry(hour(0), 1n).database).toBe('db')
    const { sets } = await pruned(store, { includeStock: true })
    expect(sets.map(({ databases }) => databases)).toEqual([['db'], []])
  })
})

describe('a place that lets nothing be deleted', () => {
  class Holding extends MemoryStore {
    readonly held: (name: string) => boolean
    retryable = false

    constructor(files: Iterable<readonly [string, Uint8Array]>, held: (name: string) => boolean) {
      super(files)
      this.held = held
    }

    override async delete(name: string): Promise<void> {
      const { retryable } = this
      if (this.held(name)) throw new SnapError('E_DESTINATION', `${name}: denied`, { retryable })
      await super.delete(name)
    }
  }

  it('keeps a set whole whose manifest cannot go, with all that it needs', async () => {
    const samples = [{}, { own: [2], unchanged: { 1: 0, 3: 0 } }, { own: [1], shared: { 2: 24 } }]
    const sound = daily(...samples)
    const store = new Holding(sound.files, (name) => name === manifestName(hour(24)))
    const whole = await restorables(store)
    const { sets, failures } = await pruned(store)
    expect(sets.map(({ action }) => action)).toEqual(['keep', 'remove', 'keep', 'keep'])
    expect(failures).toEqual([
      { file: manifestName(hour(24)), message: expect.stringMatching('denied') },
    ])
    whole.delete(hour(48))
    expect(await restorables(store)).toEqual(whole)
    expect(store.files.has('prune.pending')).toBe(true)
  })

  it('names what is left of a set, and the next prune removes it', async () => {
    const [stuck = ''] = archives(0, 1)
    let isHeld = true
    const store = new Holding(daily().files, (name) => isHeld && name === stuck)
    const { sets, failures, freed } = await pruned(store)
    expect(sets.map(({ action }) => action)).toEqual(['keep', 'remove', 'remove', 'remove'])
    expect(failures).toEqual([{ file: stuck, message: `${stuck}: denied` }])
    expect(freed.files).toBe(3 * 9 - 1)
    isHeld = false
    const again = await pruned(store)
    expect(again).toMatchObject({ finished: [hour(0)], freed: { files: 1 } })
    expect([...store.files.keys()].every((name) => name.startsWith(hour(72)))).toBe(true)
  })

  it('ends at once where a later try may do better', async () => {
    const store = new Holding(daily().files, () => true)
    store.retryable = true
    await expect(pruned(store)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    expect((await restorables(store)).size).toBe(4)
  })

  it('keeps sets that are locked until later, and what they need', async () => {
    class Locking extends MemoryStore {
      override async stat(name: string): Promise<StoredObject | undefined> {
        const found = await super.stat(name)
        const lockedUntil = new Date(name.startsWith(hour(24)) ? '2027-01-01' : '2025-01-01')
        return found && { ...found, lockedUntil }
      }
    }
    const store = new Locking(daily({}, { own: [2], unchanged: { 1: 0, 3: 0 } }).files)
    expect(await removed(store)).toEqual([48])
    expect(await reasons(store, 24)).toEqual([{ rule: 'locked', until: new Date('2027-01-01') }])
    expect(await reasons(store, 0)).toEqual([{ rule: 'needed', by: hour(24) }])
  })

  it('stops when it is told to, and the next prune goes on', async () => {
    const stop = new AbortController()
    const store = new Holding(daily().files, (name) => {
      if (name.endsWith('.snap.json')) stop.abort(new Error('stopped'))
      return false
    })
    await expect(pruned(store, { signal: stop.signal })).rejects.toThrow('stopped')
    expect((await restorables(store)).size).toBe(1)
    const { unfinished, problems } = await verified(store)
    expect(unfinished).toEqual([hour(0), hour(24), hour(48)])
    expect(problems.every(({ sets }) => sets[0] === hour(72))).toBe(true)
    await pruned(store)
    putSet(store, { at: 99 })
    expect([...(await restorables(store)).keys()]).toEqual([hour(99), hour(72)])
    expect([...store.files.keys()].every((name) => name >= hour(72))).toBe(true)
  })
})
