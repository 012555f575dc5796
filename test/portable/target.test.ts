import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ListedFile } from '../../src/portable/index.ts'
import {
  checkTarget,
  listSets,
  listUnfinished,
  manifestName,
  metaName,
  takeSetName,
} from '../../src/portable/index.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { CLUSTER_ID, entry, smallStore, snapFiles, stockFiles, writeFiles } from './samples.ts'

const [A, B, C] = ['20240101T000000Z', '20240102T000000Z', '20240103T000000Z']
const range = { kind: 'range', range: { start: 0n, end: 1n, exact: true } } as const

async function check(
  rules: { clusterId?: bigint; kind?: 'full' | 'range' },
  ...sets: readonly ReadonlyMap<string, Uint8Array>[]
) {
  const directory = await tempDir('target')
  await writeFiles(directory, ...sets)
  const listing = await listSets(new LocalStore(directory))
  return await checkTarget(listing, { clusterId: CLUSTER_ID, kind: 'full', ...rules })
}

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

describe('checkTarget', () => {
  it('takes an empty place and sets of the same server and kind', async () => {
    await check({})
    await check({}, snapFiles(A, { entries: [entry(A, 1n)] }), stockFiles(B, { entries: [] }))
    await check({ kind: 'range' }, snapFiles(A, { entries: [], catalog: range }))
  })

  it('refuses sets of another server, whoever wrote them', async () => {
    const foreign = (message: RegExp) => failure('E_TARGET_FOREIGN', message)
    await expect(check({ clusterId: 5n }, snapFiles(A, { entries: [] }))).rejects.toEqual(
      foreign(/cluster id 9223372036854775806 \(127\.0\.0\.1:8088\), this one has 5$/),
    )
    const theirs = stockFiles(A, { entries: [], meta: smallStore(6n) })
    await expect(check({}, theirs)).rejects.toEqual(foreign(/cluster id 6, this one has/))
    await expect(check({}, theirs, snapFiles(B, { entries: [] }))).rejects.toEqual(
      foreign(/cluster id 6/),
    )
  })

  it('keeps whole shards and time ranges apart', async () => {
    const full = snapFiles(A, { entries: [] })
    const limited = snapFiles(A, { entries: [], catalog: range })
    const stock = stockFiles(A, { entries: [] })
    const foreign = (message: RegExp) => failure('E_TARGET_FOREIGN', message)
    await expect(check({ kind: 'range' }, full)).rejects.toEqual(
      foreign(/holds whole shards, this one would hold a time range/),
    )
    await expect(check({ kind: 'full' }, limited)).rejects.toEqual(
      foreign(/holds a time range, this one would hold whole shards/),
    )
    await expect(check({ kind: 'range' }, stock)).rejects.toEqual(foreign(/may hold whole shards/))
  })

  it('asks the next set when the newest is damaged, and stops if all are', async () => {
    const damaged = snapFiles(C, { entries: [] })
    damaged.set(manifestName(C), Buffer.from('{'))
    await check({}, damaged, snapFiles(B, { entries: [] }), snapFiles(A, { entries: [] }))
    await expect(check({}, damaged)).rejects.toEqual(
      failure('E_INTEGRITY', /manifest: 1 bytes with sha256 .*, expected \d+ bytes with/),
    )
  })

  it('holds the metastore of a set to its catalog', async () => {
    const changed = snapFiles(C, { entries: [] })
    const meta = Buffer.from(changed.get(metaName(C)) ?? '')
    meta[meta.length - 1] = (meta.at(-1) ?? 0) ^ 1
    changed.set(metaName(C), meta)
    await expect(check({}, changed)).rejects.toEqual(failure('E_INTEGRITY', /meta: \d+ bytes/))
    changed.delete(metaName(C))
    await expect(check({}, changed)).rejects.toEqual(failure('E_INTEGRITY', /meta is missing/))
  })

  it('gives the catalog of the newest set of snap that can be read', async () => {
    const damaged = snapFiles(C, { entries: [] })
    damaged.set(manifestName(C), Buffer.from('{'))
    const found = await check(
      {},
      damaged,
      snapFiles(B, { entries: [] }),
      stockFiles(A, { entries: [] }),
    )
    expect(found?.set).toBe(B)
    expect(await check({}, stockFiles(A, { entries: [] }))).toBeUndefined()
  })
})

describe('takeSetName', () => {
  it('takes the next second that neither a file nor another run has', async () => {
    const directory = await tempDir('target')
    await writeFile(join(directory, `${A}.s1.tar.gz`), '')
    const store = new LocalStore(directory)
    const take = () =>
      takeSetName((name) => store.reserve(name, ''), new Date('2024-01-01T00:00:00Z'), [
        `${A}.s1.tar.gz`,
      ])
    const taken = await Promise.all([take(), take(), take()])
    expect(taken.sort()).toEqual(['20240101T000001Z', '20240101T000002Z', '20240101T000003Z'])
  })
})

describe('listUnfinished', () => {
  const written = new Date('2024-01-05T00:00:00Z')
  const unfinished = (...names: readonly string[]) =>
    listUnfinished(
      new Map(
        names.map((name, i): [string, ListedFile] => [
          name,
          { name, size: 1, modifiedAt: written.getTime() - i * 1000 },
        ]),
      ),
    )

  it('names all files of a set without a manifest, its reservation last', () => {
    expect(
      unfinished(`${A}.pending`, `${A}.s1.tar.gz`, `${A}.s2.tar.gz.pending`, `${A}.meta.pending`),
    ).toEqual([
      {
        set: A,
        isPublished: false,
        reservation: `${A}.pending`,
        written,
        leftovers: [
          `${A}.s1.tar.gz`,
          `${A}.s2.tar.gz.pending`,
          `${A}.meta.pending`,
          `${A}.pending`,
        ],
      },
    ])
  })

  it('leaves what a manifest has published', () => {
    const [found] = unfinished(`${A}.manifest`, `${A}.s1.tar.gz`, `${A}.pending`)
    expect(found?.leftovers).toEqual([`${A}.pending`])
  })

  it('names only pending files where there is no reservation', () => {
    const [found] = unfinished(`${A}.s1.tar.gz`, `${A}.s2.tar.gz.pending`)
    expect(found).toMatchObject({
      reservation: undefined,
      leftovers: [`${A}.s2.tar.gz.pending`],
    })
  })

  it('leaves finished sets, orphans and files of others alone', () => {
    expect(
      unfinished(
        ...[`${A}.manifest`, `${A}.meta`, `${B}.s1.tar.gz`, 'notes.pending'],
        ...['db.autogen.00001.00.pending', 'meta.00.pending'],
      ),
    ).toEqual([])
  })
})
