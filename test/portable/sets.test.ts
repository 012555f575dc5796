import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { encodeData } from '../../src/meta/index.ts'
import {
  catalogName,
  encodeManifest,
  encodeMetaFile,
  listSets,
  manifestName,
  metaName,
  readSet,
  readSidecar,
  sidecarName,
} from '../../src/portable/index.ts'
import { parseSetName } from '../../src/portable/names.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import {
  catalog,
  entry,
  manifest,
  smallStore,
  snapFiles,
  stockFiles,
  writeFiles,
} from './samples.ts'

const [A, B, C] = ['20240101T000000Z', '20240102T000000Z', '20240103T000000Z']
const STOCK = join(import.meta.dirname, '../fixtures/portable/two-sets')

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

const beginningOf = (set: string) => BigInt(parseSetName(set)?.getTime() ?? 0) * 1_000_000n

/** What a set says of shards that had not changed after the beginnings of other sets. */
function sinceCatalog(set: string, unchanged: Readonly<Record<number, string>>) {
  return {
    created: parseSetName(set)?.toISOString() ?? '',
    selection: { since: 5n },
    unchanged: Object.entries(unchanged).map(([shardId, other]) => ({
      shardId: BigInt(shardId),
      since: beginningOf(other),
    })),
  }
}

async function place(...sets: readonly ReadonlyMap<string, Uint8Array>[]) {
  const directory = await tempDir('sets')
  await writeFiles(directory, ...sets)
  const store = new LocalStore(directory)
  const read = async (name: string) => {
    const listing = await listSets(store)
    const set = listing.sets.find((listed) => listed.name === name)
    if (set === undefined) throw new Error(`no set ${name}`)
    return await readSet(listing, set)
  }
  return { directory, store, read }
}

describe('listSets', () => {
  it('lists sets newest first, with kind and time', async () => {
    const { directory, store } = await place(
      stockFiles(A, { entries: [entry(A, 1n)] }),
      snapFiles(B, { entries: [entry(B, 1n)] }),
    )
    await writeFile(join(directory, `${C}.manifest.pending`), '')
    await writeFile(join(directory, 'by-hand.manifest'), '{}')
    const { sets } = await listSets(store)
    expect(sets.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'by-hand stock',
      `${B} snap`,
      `${A} stock`,
    ])
    expect(sets[1]?.time).toEqual(new Date('2024-01-02T00:00:00Z'))
    expect(Math.abs((sets[0]?.time.getTime() ?? 0) - Date.now())).toBeLessThan(60_000)
  })
})

describe('readSet of a stock directory', () => {
  it('reads what influxd wrote: the newest metastore and each shard from its newest set', async () => {
    const store = new LocalStore(STOCK)
    const listing = await listSets(store)
    const [newest, oldest] = listing.sets
    if (newest === undefined || oldest === undefined) throw new Error('two sets expected')
    const set = await readSet(listing, newest)
    expect(set).toMatchObject({ kind: 'stock', catalog: undefined, missing: [] })
    expect(set.manifest.files).toHaveLength(2)
    const chosen = set.entries.map(({ shardId, fileName }) => `${shardId} ${fileName.slice(0, 16)}`)
    expect(chosen.sort()).toEqual([
      `1 ${oldest.name}`,
      `10 ${newest.name}`,
      `100 ${newest.name}`,
      `11 ${oldest.name}`,
      `12 ${oldest.name}`,
    ])
    expect(set.meta.users.map(({ name }) => name)).toEqual(['admin'])
    expect(Buffer.from(encodeData(set.meta))).toEqual(Buffer.from(set.metaBytes))
    expect((await readSet(listing, oldest)).entries).toHaveLength(5)
  })

  it('takes an older archive for one that is not there, and names what is nowhere', async () => {
    const { read } = await place(
      stockFiles(A, { entries: [entry(A, 1n), entry(A, 2n)], without: [2n] }),
      stockFiles(B, { entries: [entry(B, 1n), entry(B, 2n)], without: [1n, 2n] }),
    )
    const { entries, missing } = await read(B)
    expect(entries.map(({ fileName }) => fileName)).toEqual([`${A}.s1.tar.gz`])
    expect(missing.map(({ fileName }) => fileName)).toEqual([`${B}.s2.tar.gz`])
  })

  it('does not take archives of newer sets or of ours', async () => {
    const { read } = await place(
      snapFiles(A, { entries: [entry(A, 2n)] }),
      stockFiles(B, { entries: [entry(B, 1n)] }),
      stockFiles(C, { entries: [entry(C, 3n, 'other')] }),
    )
    expect((await read(B)).entries.map(({ shardId }) => shardId)).toEqual([1n])
    expect((await read(C)).entries.map(({ shardId }) => shardId)).toEqual([3n, 1n])
  })

  it('passes over an older manifest of ours whose catalog is lost', async () => {
    const ours = snapFiles(A, { entries: [entry(A, 2n)] })
    ours.delete(catalogName(A))
    const { read } = await place(ours, stockFiles(B, { entries: [entry(B, 1n)] }))
    expect((await read(B)).entries.map(({ shardId }) => shardId)).toEqual([1n])
  })

  it('says what is wrong with a file of it', async () => {
    const { directory, read } = await place(stockFiles(A, { entries: [entry(A, 1n)] }))
    const data = encodeData(smallStore())
    await writeFile(join(directory, metaName(A)), encodeMetaFile(Buffer.concat([data, data])))
    const doubled = failure('E_INTEGRITY', /\.meta: \d+ bytes of metastore, expected \d+$/)
    await expect(read(A)).rejects.toEqual(doubled)
    await writeFile(
      join(directory, metaName(A)),
      encodeMetaFile(data.subarray(0, 9)).subarray(0, 6),
    )
    await expect(read(A)).rejects.toEqual(failure('E_INTEGRITY', /\.meta: offset 6: /))
    await rm(join(directory, metaName(A)))
    await expect(read(A)).rejects.toEqual(failure('E_INTEGRITY', /\.meta is missing/))
    await writeFile(join(directory, manifestName(A)), '{"meta"')
    const unreadable = failure('E_INTEGRITY', /sets-.*20240101T000000Z\.manifest is not JSON/)
    await expect(read(A)).rejects.toEqual(unreadable)
  })

  it('does not follow a manifest out of the directory', async () => {
    const { directory, read } = await place(stockFiles(A, { entries: [entry(A, 1n)] }))
    const evil = { ...manifest(A, [], 1), meta: { fileName: '../x', size: 1, unknown: {} } }
    await writeFile(join(directory, manifestName(A)), encodeManifest(evil))
    await expect(read(A)).rejects.toEqual(failure('E_FORMAT', /"\.\.\/x" is no name/))
    const outside = [{ ...entry(A, 1n), fileName: '../../etc/passwd' }]
    const size = encodeData(smallStore()).length
    await writeFile(join(directory, manifestName(A)), encodeManifest(manifest(A, outside, size)))
    expect((await read(A)).missing).toHaveLength(1)
  })
})

describe('readSet of our sets', () => {
  const files = () => snapFiles(A, { entries: [entry(A, 1n), entry(A, 2n)] })

  it('reads manifest, metastore and catalog', async () => {
    const { read } = await place(files(), stockFiles(B, { entries: [] }))
    const set = await read(A)
    expect(set).toMatchObject({ kind: 'snap', name: A, missing: [] })
    expect(set.entries).toHaveLength(2)
    expect(set.catalog?.files).toHaveLength(6)
  })

  it('names archives that are gone and does not look for them in other sets', async () => {
    const { directory, read } = await place(
      files(),
      snapFiles('20231231T000000Z', { entries: [entry('20231231T000000Z', 1n)] }),
    )
    await rm(join(directory, `${A}.s1.tar.gz`))
    const { entries, missing } = await read(A)
    expect(entries.map(({ shardId }) => shardId)).toEqual([2n])
    expect(missing.map(({ shardId }) => shardId)).toEqual([1n])
  })

  it('adds to a set made with --since what had not changed, from the newest older set', async () => {
    const D = '20240104T000000Z'
    const { directory, read } = await place(
      snapFiles(A, {
        entries: [entry(A, 1n), entry(A, 2n), entry(A, 3n, 'other')],
        catalog: sinceCatalog(A, {}),
      }),
      stockFiles(B, { entries: [entry(B, 2n)] }),
      snapFiles(C, { entries: [entry(C, 1n)], catalog: sinceCatalog(C, { 2: B, 3: A }) }),
      snapFiles(D, { entries: [entry(D, 1n)] }),
    )
    const chosen = async (set: string) =>
      (await read(set)).entries.map(({ fileName }) => fileName).sort()
    expect(await chosen(C)).toEqual([`${A}.s3.tar.gz`, `${B}.s2.tar.gz`, `${C}.s1.tar.gz`])
    expect(await chosen(D)).toEqual([`${D}.s1.tar.gz`])
    await rm(join(directory, `${C}.s1.tar.gz`))
    expect(await chosen(C)).toEqual([`${A}.s3.tar.gz`, `${B}.s2.tar.gz`])
    expect(await read(C)).toMatchObject({ missing: [{ shardId: 1n }], unheld: [] })
  })

  it('adds nothing that may have changed between an older set and the time given', async () => {
    const D = '20240104T000000Z'
    const { read } = await place(
      snapFiles(A, { entries: [entry(A, 1n), entry(A, 2n)], catalog: sinceCatalog(A, {}) }),
      snapFiles(C, { entries: [], catalog: sinceCatalog(C, { 1: A, 2: B, 3: A }) }),
      snapFiles(D, { entries: [], catalog: sinceCatalog(D, { 1: C, 2: C }) }),
    )
    const found = async (set: string) => {
      const { entries, unheld } = await read(set)
      return { entries: entries.map(({ fileName }) => fileName), unheld }
    }
    expect(await found(C)).toEqual({ entries: [`${A}.s1.tar.gz`], unheld: [2n, 3n] })
    expect(await found(D)).toEqual({ entries: [`${A}.s1.tar.gz`], unheld: [2n] })
  })

  it('passes over older sets whose archive is gone, or that cannot be read', async () => {
    const D = '20240104T000000Z'
    const { directory, read } = await place(
      snapFiles(A, { entries: [entry(A, 1n), entry(A, 2n)], catalog: sinceCatalog(A, {}) }),
      snapFiles(B, { entries: [entry(B, 1n)], catalog: sinceCatalog(B, {}) }),
      snapFiles(C, { entries: [entry(C, 2n)], catalog: sinceCatalog(C, {}) }),
      snapFiles(D, { entries: [], catalog: sinceCatalog(D, { 1: B, 2: A }) }),
    )
    await rm(join(directory, `${B}.s1.tar.gz`))
    await writeFile(join(directory, `${C}.manifest`), 'torn')
    const { entries, unheld } = await read(D)
    expect(entries.map(({ fileName }) => fileName)).toEqual([`${A}.s2.tar.gz`])
    expect(unheld).toEqual([1n])
  })

  it('notices a missing catalog, one of another set, and one without its manifest', async () => {
    const { directory, read } = await place(files())
    await rm(join(directory, catalogName(A)))
    await expect(read(A)).rejects.toEqual(failure('E_INTEGRITY', /catalog .* of set .* is missing/))
    const other = snapFiles(B, { entries: [] }).get(catalogName(B)) ?? ''
    await writeFile(join(directory, catalogName(A)), other)
    const wrong = failure(
      'E_INTEGRITY',
      /is the catalog of set 20240102T000000Z, expected 20240101/,
    )
    await expect(read(A)).rejects.toEqual(wrong)
    const { encodeCatalog } = await import('../../src/portable/index.ts')
    await writeFile(join(directory, catalogName(A)), encodeCatalog(catalog(A)))
    await expect(read(A)).rejects.toEqual(failure('E_INTEGRITY', /is not in the catalog of set/))
  })

  it('reads sidecars against the catalog', async () => {
    const { directory, store, read } = await place(files())
    const { catalog } = await read(A)
    if (catalog === undefined) throw new Error('a catalog was written')
    const name = sidecarName(A, 2n)
    expect(await readSidecar(store, catalog, name)).toMatchObject({ shardId: 2n })
    const bytes = await readFile(join(directory, name))
    await writeFile(join(directory, name), Buffer.concat([bytes, Buffer.from(' ')]))
    const run = readSidecar(store, catalog, name)
    await expect(run).rejects.toEqual(failure('E_INTEGRITY', /bytes with sha256 .*, expected /))
  })

  it('notices every single flipped bit in manifest, metastore, catalog and sidecar', async () => {
    const small = snapFiles(A, { entries: [entry(A, 1n)] })
    const memory = new Map(small)
    const source = {
      url: 'memory',
      async *list() {
        for (const [name, { length }] of memory) {
          yield { name, size: length, modified: new Date(0) }
        }
      },
      async *read(name: string) {
        const bytes = memory.get(name)
        if (bytes === undefined) throw new SnapError('E_INTEGRITY', `${name} is missing`)
        yield bytes
      },
    }
    const listing = await listSets(source)
    const [listed] = listing.sets
    if (listed === undefined) throw new Error('one set expected')
    const readAll = async () => {
      const { catalog } = await readSet(listing, listed)
      if (catalog !== undefined) await readSidecar(source, catalog, sidecarName(A, 1n))
    }
    await readAll()
    for (const name of [manifestName(A), metaName(A), catalogName(A), sidecarName(A, 1n)]) {
      const bytes = Buffer.from(small.get(name) ?? '')
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = Buffer.from(bytes)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        memory.set(name, flipped)
        const thrown = await readAll().catch((error: unknown) => error)
        if (!(thrown instanceof SnapError && thrown.exitCode === 13)) {
          throw new Error(`${name}: bit ${bit} goes unseen: ${thrown}`)
        }
      }
      memory.set(name, bytes)
    }
  })

  it('refuses a manifest of absurd length without keeping it', async () => {
    const source = {
      url: 'memory',
      async *list() {
        yield { name: manifestName(A), size: 0, modified: new Date(0) }
      },
      async *read() {
        const chunk = Buffer.alloc(8 * 1024 * 1024)
        for (;;) yield chunk
      },
    }
    const listing = await listSets(source)
    const [listed] = listing.sets
    if (listed === undefined) throw new Error('one set expected')
    const run = readSet(listing, listed)
    await expect(run).rejects.toEqual(failure('E_INTEGRITY', /more than \d+ bytes/))
  })
})
