import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { list } from '../../src/operations/list.ts'
import { OpenedStore } from '../../src/operations/opened-store.ts'
import { prune } from '../../src/operations/prune.ts'
import { decodeCatalog } from '../../src/portable/catalog.ts'
import { listSets } from '../../src/portable/listing.ts'
import { readSet } from '../../src/portable/sets.ts'
import { bytesOf, identityIn, recipientsIn } from '../age/files.ts'
import type { MemoryStore } from '../helpers/memory-store.ts'
import { rejected } from '../protocol/thrown.ts'
import { backUp, verified } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const SLOW = process.env['SLOW'] === '1'
const DAY_MS = 86_400_000

function shardOf(id: bigint, value = 1.5): ShardFixture {
  return {
    ...{ id, database: 'd', retentionPolicy: 'r', day: id },
    files: [{ points: { 'm#!~#v': points('float', [[id * DAY, value]]) } }],
  }
}

const identities = await identityIn('key.txt')
const recipients = await recipientsIn('recipient.txt')
const { store, set } = await backUp([shardOf(1n)], { recipients })
const named = [...store.files.keys()].map((name) => [name.slice(17), name] as const)

/** Says whether damage is seen: as a problem, or as an error that ends the command with 13. */
async function isSeen(damaged: MemoryStore, options: Parameters<typeof verified>[1]) {
  try {
    return (await verified(damaged, options)).problems.length > 0
  } catch (error) {
    if (error instanceof SnapError && error.exitCode === 13) return true
    throw error
  }
}

describe('in an encrypted set', () => {
  it('nothing is wrong at first', async () => {
    const found = await verified(store, { deep: true, identities })
    expect(found).toMatchObject({ problems: [], complete: true, points: 1 })
    expect(await verified(store)).toMatchObject({ problems: [], complete: true, files: 0 })
  })

  it.each(named)('every flipped bit of %s is seen', { timeout: 120_000 }, async (_, name) => {
    const damaged = store.copy()
    const bytes = damaged.files.get(name) ?? new Uint8Array()
    const unseen: string[] = []
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      for (let bit = 0; bit < 8; bit++) {
        // A whole set is opened each time: some bits will do.
        if (!SLOW && (bit !== at % 7 || at % 4 !== 0)) continue
        bytes[at] = byte ^ (1 << bit)
        const where = `bit ${bit} of byte ${at}`
        if (!(await isSeen(damaged, {}))) unseen.push(`${where}, without a key`)
        if (!SLOW && at % 16 !== 0) continue
        if (!(await isSeen(damaged, { identities }))) unseen.push(`${where}, with the key`)
      }
      bytes[at] = byte
    }
    expect(unseen).toEqual([])
  })

  it.each(named)('%s cut, longer or missing is seen', async (_, name) => {
    const whole = store.files.get(name) ?? new Uint8Array()
    const damaged = store.copy()
    for (const options of [{}, { identities }]) {
      for (let length = 0; length < whole.length; length += SLOW ? 1 : 13) {
        damaged.files.set(name, whole.subarray(0, length))
        expect(await isSeen(damaged, options), `cut at ${length}`).toBe(true)
      }
      damaged.files.set(name, Buffer.concat([whole, Buffer.alloc(1)]))
      expect(await isSeen(damaged, options)).toBe(true)
      damaged.files.delete(name)
      expect(await isSeen(damaged, options)).toBe(true)
    }
  })

  it('files of others in the place of its own are seen', async () => {
    const other = await backUp([shardOf(1n, 7)], { recipients })
    for (const [end, name] of named) {
      const damaged = store.copy()
      const bytes = other.store.files.get(`${other.set}.${end}`)
      damaged.files.set(name, bytes ?? new Uint8Array())
      for (const options of [{}, { identities }]) expect(await isSeen(damaged, options)).toBe(true)
    }
  })
})

describe('sets on a host that has only the recipient', () => {
  const incremental = { fullEvery: 7 * DAY_MS, trustProbe: false }

  it('share archives, and are listed and pruned', async () => {
    const { store: target, set: first } = await backUp([shardOf(1n), shardOf(2n)], { recipients })
    const { set: second, result } = await backUp([shardOf(1n), shardOf(2n), shardOf(3n)], {
      ...{ store: target, recipients, incremental },
    })
    expect(result.parent).toBe(first)
    expect([...target.files.keys()].every((name) => /\.(age|snap\.json)$/.test(name))).toBe(true)
    expect(target.files.has(`${second}.s3.tar.gz.age`)).toBe(true)
    expect(target.files.has(`${second}.s1.tar.gz.age`)).toBe(false)
    const signal = new AbortController().signal
    const {
      sets: [newest, oldest],
    } = await list(target, signal)
    expect(newest).toMatchObject({ set: second, encrypted: true, shards: 3, databases: ['d'] })
    expect(oldest).toMatchObject({ set: first, encrypted: true, shards: 2 })
    const rules = { keep: { last: 1 }, minSets: 1, databases: [], includeStock: false }
    await prune({ ...rules, store: target, confirm: true, now: new Date(), signal })
    expect(target.files.has(`${first}.manifest.age`)).toBe(false)
    expect(target.files.has(`${first}.snap.json`)).toBe(false)
    expect(target.files.has(`${first}.s1.tar.gz.age`)).toBe(true)
    const found = await verified(target, { deep: true, identities })
    expect(found).toMatchObject({ problems: [], complete: true, points: 3, gaps: [] })
    const opened = new OpenedStore(target, identities)
    const listing = await listSets(opened)
    const [listed] = listing.sets
    const read = listed && (await readSet(listing, listed))
    expect(read?.entries.map(({ fileName }) => fileName)).toEqual([
      `${first}.s1.tar.gz`,
      `${first}.s2.tar.gz`,
      `${second}.s3.tar.gz`,
    ])
    expect(read?.missing).toEqual([])
  })

  it('share nothing with sets for others, or in the clear', async () => {
    const { store: target } = await backUp([shardOf(1n)], {})
    for (const others of [recipients, await recipientsIn('recipients.txt'), undefined]) {
      const next = await backUp([shardOf(1n)], {
        ...{ store: target, recipients: others, incremental },
      })
      expect(next.result.parent !== undefined).toBe(others === undefined)
    }
  })
})

describe('an opened store', () => {
  it('shows encrypted files of sets as what is in them, and all else as it is', async () => {
    const copy = store.copy()
    copy.files.set('notes.age', Buffer.from('mine'))
    const opened = new OpenedStore(copy, identities)
    const names: string[] = []
    for await (const { name } of opened.list()) names.push(name)
    expect(names).toContain('notes.age')
    expect(names).toContain(`${set}.manifest`)
    expect(names).toHaveLength(new Set(names).size)
    expect((await bytesOf(opened.read('notes.age'))).toString()).toBe('mine')
    const manifest = await bytesOf(opened.read(`${set}.manifest`))
    expect(JSON.parse(manifest.toString()).snapCatalog).toBe(`${set}.snap.json`)
    const range = await bytesOf(opened.read(`${set}.manifest`, { start: 2, end: 12 }))
    expect(range.equals(manifest.subarray(2, 12))).toBe(true)
    const stored = await bytesOf(opened.read(`${set}.manifest.age`))
    expect(stored.subarray(0, 22).toString()).toBe('age-encryption.org/v1\n')
    expect((await opened.stat(`${set}.manifest`))?.name).toBe(`${set}.manifest`)
    expect(await opened.stat(`${set}.s9.json`)).toBeUndefined()
  })

  it('reads what was published since it was listed', async () => {
    const opened = new OpenedStore(store, identities)
    expect((await bytesOf(opened.read(`${set}.manifest`))).length).toBeGreaterThan(0)
    const error = await rejected(bytesOf(opened.read(`${set}.s9.json`)))
    expect(error.message).toContain('is missing')
  })

  it('writes as the store itself does', async () => {
    const copy = store.copy()
    const opened = new OpenedStore(copy, identities)
    const body = (async function* () {
      yield Buffer.from('text')
    })()
    await (await opened.stage('a', body)).publish()
    expect(await opened.create('b', 'text')).toBe(true)
    expect((await opened.write('b', 'other')).name).toBe('b')
    expect(await opened.reserve('c', 'text')).toBe(true)
    expect(await opened.createsOnce()).toBe(await copy.createsOnce())
    expect(opened.undeleted).toBe(0)
    await opened.delete('b')
    await opened.abandon()
    const added = [...copy.files.keys()].filter((name) => !store.files.has(name))
    expect(added.sort()).toEqual(['a', 'c.pending'])
  })

  it('tells a header that is cut, or too long', async () => {
    const copy = store.copy()
    const name = `${set}.s1.tar.gz`
    const range = { start: 0, end: 1 }
    for (const bytes of [
      Buffer.from('age-encryption.org/v1\n'),
      Buffer.from(`age-encryption.org/v1\n${'-> X A\n\n'.repeat(20_000)}`),
    ]) {
      copy.files.set(`${name}.age`, bytes)
      const error = await rejected(bytesOf(new OpenedStore(copy, identities).read(name, range)))
      expect(error.code).toBe('E_FORMAT')
    }
  })

  it('does not take the clear catalog for the one that is encrypted', async () => {
    const copy = store.copy()
    copy.files.delete(`${set}.snap.json.age`)
    const listing = await listSets(new OpenedStore(copy, identities))
    const [listed] = listing.sets
    if (listed === undefined) throw new Error('no set')
    const error = await rejected(readSet(listing, listed))
    expect(error.message).toContain('is the clear catalog of an encrypted set')
    const clear = decodeCatalog(store.files.get(`${set}.snap.json`) ?? new Uint8Array())
    expect(clear.encryption?.format).toBe('age')
  })

  it('says that a key is missing, whether or not the catalog can be read', async () => {
    for (const without of [[], [`${set}.snap.json`]]) {
      const copy = store.copy()
      for (const name of without) copy.files.delete(name)
      const error = await rejected(bytesOf(new OpenedStore(copy).read(`${set}.manifest`)))
      expect(error.code).toBe('E_KEY')
    }
  })
})
