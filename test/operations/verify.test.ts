import { cp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { decodeCatalog, encodeCatalog } from '../../src/portable/catalog.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { ROOT } from '../helpers/sources.ts'
import { backUp, changeFile, namesOf, verified } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const shard = (id: bigint, database = 'db', value = 1): ShardFixture => ({
  ...{ id, database, retentionPolicy: 'rp', day: id },
  files: [
    {
      points: {
        'cpu,host=a#!~#v': points('float', [
          [id * DAY, value],
          [id * DAY + 1n, 2],
        ]),
      },
    },
    { points: { 'cpu,host=a#!~#v': points('float', [[id * DAY + 1n, 3]]) } },
  ],
})

const SHARDS = [shard(1n), shard(2n), shard(3n, 'other')]

async function fixture(folder: string): Promise<MemoryStore> {
  const directory = join(ROOT, 'test/fixtures', folder)
  const names = await readdir(directory)
  const read = async (name: string) => [name, await readFile(join(directory, name))] as const
  return new MemoryStore(await Promise.all(names.map(read)))
}

const messages = ({ problems }: { readonly problems: readonly { readonly message: string }[] }) =>
  problems.map(({ message }) => message)

/** Adds a set with another name that shares the archives of the one that is there. */
function shareArchives(store: MemoryStore, set: string, name: string): void {
  const rename = (text: string) => text.replaceAll(`${set}.`, `${name}.`)
  for (const end of ['.meta', '.manifest', '.snap.json']) {
    const bytes = store.files.get(set + end) ?? new Uint8Array()
    const text = Buffer.from(bytes).toString('latin1')
    const kept = text.replaceAll(/"fileName": "\S+\.(?:tar\.gz|json)"/g, (own) => own)
    store.files.set(
      name + end,
      end === '.manifest' ? Buffer.from(withOwnMeta(kept), 'latin1') : bytes,
    )
  }
  function withOwnMeta(text: string): string {
    return rename(text).replaceAll(`${name}.s`, `${set}.s`).replace(`"${set}.snap`, `"${name}.snap`)
  }
  const catalog = decodeCatalog(store.files.get(`${set}.snap.json`) ?? new Uint8Array())
  const files = catalog.files.map((file) =>
    /\.(?:meta|manifest)$/.test(file.name) ? { ...file, name: rename(file.name) } : file,
  )
  store.files.set(`${name}.snap.json`, encodeCatalog({ ...catalog, set: name, files }))
  changeFile(store, `${name}.manifest`, (text) => text)
}

describe('a target that is whole', () => {
  it('is read once, every set and every archive', async () => {
    const { store } = await backUp(SHARDS)
    await backUp([shard(1n, 'db', 5)], { store })
    const events: ProgressEvent[] = []
    const result = await verified(store, { progress: (event) => events.push(event) })
    expect(result).toMatchObject({
      ...{ complete: true, problems: [], gaps: [], unfinished: [], leftOut: [], points: undefined },
      archives: { total: 4, verified: 4, left: [] },
      files: 8,
    })
    expect(result.sets.map(({ kind, archives, problems }) => [kind, archives, problems])).toEqual([
      ['snap', 1, 0],
      ['snap', 3, 0],
    ])
    const done = events.flatMap((event) => (event.type === 'shardDone' ? [event.bytes] : []))
    expect(done).toHaveLength(4)
    const bytes = done.reduce((sum, each) => sum + each)
    expect(events[0]).toEqual({ type: 'plan', task: 'verify', shards: 4, bytes })
    const last = events.findLast(({ type }) => type === 'shardProgress')
    expect(done).toContain(last?.type === 'shardProgress' ? last.bytes : undefined)
  })

  it('is compared with its fingerprints by --deep', async () => {
    const { store } = await backUp(SHARDS)
    expect(await verified(store, { deep: true })).toMatchObject({ problems: [], points: 6 })
  })

  it('may hold sets that share archives: each is read once', async () => {
    const { store, set } = await backUp(SHARDS)
    const alone = await verified(store)
    const before = store.bytesRead
    await verified(store)
    const once = store.bytesRead - before
    shareArchives(store, set, '20990101T000000Z')
    const shared = await verified(store)
    expect(shared).toMatchObject({ problems: [], archives: { total: 3, verified: 3 } })
    expect([shared.sets.length, shared.bytes]).toEqual([2, alone.bytes])
    const [archive = ''] = namesOf(store, '.tar.gz')
    expect(store.bytesRead - before - once).toBeLessThan(2 * once)
    store.files.delete(archive)
    expect((await verified(store)).problems).toMatchObject([
      { file: archive, sets: ['20990101T000000Z', set] },
    ])
  })

  it('may be of influxd: what it says nothing of is told apart from damage', async () => {
    const store = await fixture('portable/two-sets')
    const result = await verified(store, { deep: true })
    expect(result).toMatchObject({ problems: [], complete: true, unfinished: [] })
    expect(result.sets.map(({ kind }) => kind)).toEqual(['stock', 'stock'])
    store.files.delete('20261122T141642Z.s10.tar.gz')
    expect(await verified(store)).toMatchObject({
      problems: [
        {
          ...{ file: '20261122T141642Z.s10.tar.gz', sets: ['20261122T141642Z'] },
          shard: { shardId: 10n },
        },
      ],
    })
    const [manifest = ''] = namesOf(store, '39Z.manifest')
    const [, entry = ''] = /(\{[^{}]*s100\.tar\.gz[^{}]*\},?)/.exec(textOf(store, manifest)) ?? []
    store.files.set(manifest, Buffer.from(textOf(store, manifest).replace(entry, '')))
    const { problems, gaps } = await verified(store)
    expect(problems.map(({ file }) => file).sort()).toEqual([
      '20261122T141639Z.s100.tar.gz',
      '20261122T141642Z.s10.tar.gz',
    ])
    expect(gaps).toMatchObject([{ shardId: 100n, set: '20261122T141639Z', reason: undefined }])
  })

  it('may be a legacy directory, with sets beside it or alone', async () => {
    const store = await fixture('legacy/increments')
    const alone = await verified(store, { deep: true })
    expect(alone.sets).toEqual([
      { set: undefined, kind: 'legacy', time: undefined, archives: 7, problems: 0 },
    ])
    expect(alone).toMatchObject({ problems: [], archives: { total: 7, verified: 7 } })
    await backUp([shard(1n)], { store })
    expect((await verified(store)).sets.map(({ kind }) => kind)).toEqual(['snap', 'legacy'])
    expect((await verified(store, { set: 'latest' })).sets.length).toBe(1)
    const bytes = store.files.get('a.b.c.00010.01') ?? new Uint8Array()
    store.files.set('a.b.c.00010.01', bytes.subarray(0, 700))
    expect((await verified(store)).problems).toMatchObject([
      { file: 'a.b.c.00010.01', sets: [], shard: { shardId: 10n, database: 'a.b' } },
    ])
    store.files.set('meta.03', Buffer.from('rubbish'))
    const { problems, sets } = await verified(store)
    expect(problems).toMatchObject([{ file: 'meta.03', sets: [] }])
    expect(sets.at(-1)).toMatchObject({ kind: 'legacy', archives: undefined, problems: 1 })
  })
})

function textOf(store: MemoryStore, name: string): string {
  return Buffer.from(store.files.get(name) ?? []).toString()
}

describe('a problem', () => {
  it('names file, sets, shard and the times that are lost', async () => {
    const { store, set } = await backUp(SHARDS)
    const name = `${set}.s2.tar.gz`
    store.files.set(name, (store.files.get(name) ?? new Uint8Array()).subarray(0, 100))
    expect((await verified(store)).problems).toEqual([
      {
        ...{ file: name, sets: [set], times: { start: 2n * DAY, end: 3n * DAY } },
        shard: { shardId: 2n, database: 'db', retentionPolicy: 'rp' },
        message: `${name}: archive cut at 100 bytes`,
      },
    ])
  })

  it('in one set leaves the others to be verified', async () => {
    const { store, set } = await backUp(SHARDS)
    const second = await backUp([shard(1n)], { store })
    store.files.set(`${set}.manifest`, Buffer.from('{'))
    const result = await verified(store)
    expect(result.problems.every(({ sets }) => sets.join() === set)).toBe(true)
    expect(result).toMatchObject({
      complete: false,
      archives: { total: 4, verified: 1 },
      sets: [
        { set: second.set, problems: 0 },
        { set, archives: undefined, problems: 1 },
      ],
    })
  })

  it('is a manifest that is gone, a file that no manifest lists, or an archive of a shard unknown', async () => {
    const { store, set } = await backUp(SHARDS)
    store.files.set(`${set}.s9.tar.gz`, new Uint8Array())
    expect(messages(await verified(store))).toEqual([
      `${set}.s9.tar.gz: no manifest or catalog lists it`,
    ])
    store.files.delete(`${set}.s9.tar.gz`)
    store.files.delete(`${set}.manifest`)
    expect(messages(await verified(store))).toEqual([
      `${set}.manifest is missing: nothing can be restored of the 8 files of set ${set}`,
    ])
    const other = await backUp(SHARDS)
    changeFile(other.store, `${other.set}.manifest`, (text) =>
      text.replace('"policy": "rp"', '"policy": "rx"'),
    )
    const found = messages(await verified(other.store))
    expect(found[0]).toBe(`${other.set}.s1.tar.gz: the metastore has no shard 1 in db.rx`)
  })

  it('is a manifest and a catalog that do not agree', async () => {
    const { store, set } = await backUp(SHARDS)
    const catalog = decodeCatalog(store.files.get(`${set}.snap.json`) ?? new Uint8Array())
    const without = (end: string) => catalog.files.filter(({ name }) => !name.endsWith(end))
    const write = (files: typeof catalog.files) =>
      store.files.set(`${set}.snap.json`, encodeCatalog({ ...catalog, files }))
    write(without('s1.tar.gz'))
    expect(messages(await verified(store))).toEqual([
      `${set}.s1.tar.gz: in the manifest of set ${set}, not in its catalog`,
      expect.stringContaining(`${set}.s1.json: is not of archive ${set}.s1.tar.gz`),
    ])
    write(catalog.files)
    changeFile(store, `${set}.manifest`, (text) => {
      const { files, ...rest } = JSON.parse(text)
      return JSON.stringify({ ...rest, files: files.slice(1) })
    })
    expect(messages(await verified(store))).toEqual([
      `${set}.s1.tar.gz: in the catalog of set ${set}, not in its manifest`,
      `${set}.manifest: no archive of shard 1, which was selected and is live in the metastore`,
    ])
  })

  it('is a tar that is not as long as the manifest says', async () => {
    const { store, set } = await backUp([shard(1n)])
    changeFile(store, `${set}.manifest`, (text) =>
      text.replace(/"size": \d+,\n +"lastM/, '"size": 9, "lastM'),
    )
    expect(messages(await verified(store))).toEqual([
      expect.stringMatching(/s1\.tar\.gz \(shard 1 \(db\.rp\)\): a tar of \d+ bytes, expected 9$/),
    ])
  })

  it('is a sidecar that says what is not so', async () => {
    const { store, set } = await backUp(SHARDS)
    const sidecar = `${set}.s1.json`
    const original = store.files.get(sidecar) ?? new Uint8Array()
    const tryWith = async (from: string | RegExp, to: string, deep = false) => {
      changeFile(store, sidecar, () => Buffer.from(original).toString().replace(from, to))
      return messages(await verified(store, { deep }))
    }
    expect(await tryWith('"shardId":"1"', '"shardId":"7"')).toEqual([
      `${sidecar}: is not of archive ${set}.s1.tar.gz of shard 1 (db.rp)`,
    ])
    expect(await tryWith(/"tarSize":/, '"tarSize":1')).toHaveLength(1)
    expect(await tryWith(/"name":"20\d+T\d+Z/, '"name":"20010101T000000Z')).toHaveLength(1)
    const file = '000000001-000000001.tsm'
    expect(await tryWith(`"name":"${file}"`, '"name":"x.tsm"')).toEqual([
      `${sidecar}: file ${file} is not as it is in ${set}.s1.tar.gz`,
    ])
    expect(await tryWith('"keys":1,', '"keys":2,')).toHaveLength(1)
    expect(await tryWith('"minTime":"864', '"minTime":"764')).toHaveLength(1)
    expect(await tryWith('"files":[', '"files":[{"name":"more.tsm","size":1},')).toEqual([
      `${sidecar}: file more.tsm is not as it is in ${set}.s1.tar.gz`,
    ])
    expect(await tryWith('"schema":"snap/sidecar/1"', '"schema":"other"')).toHaveLength(1)
    const [fingerprint = ''] = /"fingerprint":"\w{8}/.exec(Buffer.from(original).toString()) ?? []
    const wrong = `"fingerprint":"${'0'.repeat(8)}`
    expect(await tryWith(fingerprint, wrong)).toEqual([])
    expect(await tryWith(fingerprint, wrong, true)).toEqual([
      expect.stringMatching(/all measurements: 2 points of 1 series and 1 keys from \d+ to \d+, /),
    ])
    expect(await tryWith('"measurement":"cpu"', '"measurement":"gone"', true)).toEqual([
      expect.stringContaining('measurement gone: 0 points of 0 series and 0 keys, fingerprint 000'),
    ])
    expect(await tryWith('"seekPoints":[[0,', '"seekPoints":[[0,1', true)).toEqual([
      expect.stringContaining(`${set}.s1.tar.gz: block at offset 134: does not inflate`),
    ])
    const others = '"otherMeasurements":{"series":1,"keys":1,"points":1,"fingerprint":"'
    expect(await tryWith('"data":{', `"data":{${others}${'a'.repeat(32)}"},`, true)).toEqual([
      expect.stringContaining('other measurements: 0 points'),
    ])
  })
})

describe('a shard without an archive', () => {
  it('is told with its reason if the catalog has one', async () => {
    const { store, set } = await backUp(SHARDS, {
      skipErrors: true,
      prepare: async ({ data }) => {
        await cp(join(ROOT, 'LICENSE'), join(data, 'db/rp/2/000000001-000000001.tsm'))
      },
    })
    const { problems, gaps } = await verified(store)
    expect(problems).toEqual([])
    expect(gaps).toEqual([
      {
        ...{ shardId: 2n, database: 'db', retentionPolicy: 'rp', set, lost: true },
        times: { start: 2n * DAY, end: 3n * DAY },
        reason: expect.stringContaining('000000001-000000001.tsm'),
      },
    ])
  })

  it('is none if it was not selected, or cannot hold points of the range', async () => {
    const { store } = await backUp(SHARDS, { selection: { databases: ['db'] } })
    expect(await verified(store)).toMatchObject({ problems: [], gaps: [] })
    const range = { start: 2n * DAY, end: 2n * DAY + 5n }
    const ranged = await backUp(SHARDS, { range })
    expect(await verified(ranged.store, { deep: true })).toMatchObject({ problems: [], gaps: [] })
    const since = await backUp(SHARDS, { since: 1n })
    expect(await verified(since.store)).toMatchObject({ problems: [], gaps: [] })
  })
})

describe('--set', () => {
  it('verifies one set by name, by time, or the newest', async () => {
    const { store, set } = await backUp(SHARDS)
    const newer = await backUp([shard(1n)], { store })
    const setsOf = async (wanted: string | Date) =>
      (await verified(store, { set: wanted })).sets.map((found) => found.set)
    expect(await setsOf(set)).toEqual([set])
    expect(await setsOf('latest')).toEqual([newer.set])
    expect(await setsOf(new Date(Date.now() + 60_000))).toEqual([newer.set])
    await expect(setsOf('20010101T000000Z')).rejects.toMatchObject({ code: 'E_NOTHING_MATCHED' })
    await expect(setsOf(new Date(0))).rejects.toMatchObject({ code: 'E_NOTHING_MATCHED' })
    store.files.delete(`${set}.manifest`)
    expect((await verified(store, { set })).problems).toMatchObject([
      { file: `${set}.manifest`, sets: [set] },
    ])
    await expect(verified(new MemoryStore(), { set })).rejects.toMatchObject({
      code: 'E_NO_BACKUP',
    })
    await expect(verified(new MemoryStore())).rejects.toMatchObject({ code: 'E_NO_BACKUP' })
  })

  it('takes in the older sets that a restore would take archives from', async () => {
    const store = await fixture('portable/two-sets')
    const { sets } = await verified(store, { set: '20261122T141642Z' })
    expect(sets.map(({ set }) => set)).toEqual(['20261122T141642Z', '20261122T141639Z'])
    store.files.set('20261122T141639Z.manifest', Buffer.from('{'))
    const { problems } = await verified(store, { set: '20261122T141642Z' })
    expect(problems).toMatchObject([{ sets: ['20261122T141642Z'] }])
  })
})

describe('a file', () => {
  it('that appeared after the target was listed is not missing', async () => {
    const { store, set } = await backUp(SHARDS)
    const hidden = [`${set}.s1.tar.gz`, `${set}.s2.json`]
    store.list = async function* (this: MemoryStore) {
      for (const [name, { length: size }] of this.files) {
        if (!hidden.includes(name)) yield { name, size, modified: new Date(0) }
      }
    }
    expect(await verified(store)).toMatchObject({ problems: [], complete: true })
    hidden.push(`${set}.manifest`)
    await expect(verified(store)).rejects.toMatchObject({ code: 'E_NO_BACKUP' })
  })

  it('that the disk cannot read is a problem, and the others are verified', async () => {
    const { store, set } = await backUp(SHARDS)
    const bad = `${set}.s2.tar.gz`
    const read = store.read.bind(store)
    const cause = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    store.read = async function* (name, range) {
      if (name === bad) throw new SnapError('E_SOURCE', `${name}: i/o error`, { cause })
      yield* read(name, range)
    }
    expect(await verified(store)).toMatchObject({
      problems: [{ file: bad, shard: { shardId: 2n } }],
      archives: { verified: 3 },
    })
    const denied = new SnapError('E_SOURCE', 'permission denied')
    store.read = async function* () {
      yield* []
      throw denied
    }
    await expect(verified(store)).rejects.toBe(denied)
  })
})

describe('an unfinished set', () => {
  it('is told, and is no problem', async () => {
    const { store } = await backUp(SHARDS)
    store.files.set('20990101T000000Z.pending', Buffer.from('{}'))
    store.files.set('20990101T000000Z.s1.tar.gz', new Uint8Array())
    expect(await verified(store)).toMatchObject({ problems: [], unfinished: ['20990101T000000Z'] })
  })
})

describe('a part of a target', () => {
  const many = Array.from({ length: 20 }, (_, i) => shard(BigInt(i + 1)))

  it('is chosen by a seed', async () => {
    const { store } = await backUp(many)
    const chosen = async (seed: number, subset: number) => {
      const events: ProgressEvent[] = []
      const progress = (event: ProgressEvent) => void events.push(event)
      const { archives, complete } = await verified(store, { seed, subset, progress, jobs: 1 })
      const ids = events.flatMap((event) =>
        event.type === 'shardDone' ? [event.shard.shardId] : [],
      )
      expect(ids.length).toBe(archives.verified)
      return { ids, archives, complete }
    }
    const tenth = await chosen(1, 10)
    expect(tenth).toMatchObject({ archives: { total: 20, verified: 2, left: [] }, complete: false })
    expect((await chosen(1, 10)).ids).toEqual(tenth.ids)
    const others = await Promise.all([2, 3, 4, 5].map((seed) => chosen(seed, 10)))
    expect(others.some(({ ids }) => ids.join() !== tenth.ids.join())).toBe(true)
    expect((await chosen(1, 0.1)).ids.length).toBe(1)
    expect(await chosen(1, 100)).toMatchObject({ complete: true })
  })

  it('is what there is time for, and the rest is named', async () => {
    const { store } = await backUp(many)
    const { archives, complete, problems } = await verified(store, { maxDuration: 1e-6 })
    expect([archives.verified, complete, problems]).toEqual([0, false, []])
    expect(archives.left.toSorted()).toEqual(namesOf(store, '.tar.gz'))
    expect(await verified(store, { maxDuration: 600_000 })).toMatchObject({ complete: true })
  })

  it('still has every small file verified', async () => {
    const { store, set } = await backUp(many)
    store.files.delete(`${set}.s7.json`)
    const { problems } = await verified(store, { subset: 10 })
    expect(problems).toMatchObject([{ file: `${set}.s7.json`, shard: { shardId: 7n } }])
  })
})
