import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { once } from '../../src/io/once.ts'
import { type RestoreOptions, restore } from '../../src/operations/restore.ts'
import { readShardTar } from '../../src/tar/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { backUp, changeFile, namesOf } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const SHARDS = [1n, 2n, 3n].map(
  (id): ShardFixture => ({
    ...{ id, database: `db${id % 2n}`, retentionPolicy: 'rp', day: id },
    files: [{ points: { 'm,host=a#!~#v': points('float', [[id * DAY, Number(id)]]) } }],
  }),
)
const { signal } = new AbortController()
const ARCHIVE = '.tar.gz'

/** Counts the bytes of archives that are read. */
class CountedStore extends MemoryStore {
  archiveBytes = 0

  override async *read(...args: Parameters<MemoryStore['read']>): AsyncGenerator<Uint8Array> {
    for await (const chunk of super.read(...args)) {
      if (args[0].endsWith(ARCHIVE)) this.archiveBytes += chunk.length
      yield chunk
    }
  }
}

/** Changes a byte of a staged file while the last bytes of its archive are read. */
class DamagingStore extends MemoryStore {
  damaged = false
  readonly #root: string
  readonly #place: (bytes: Buffer) => number

  constructor(
    files: ReadonlyMap<string, Uint8Array>,
    root: string,
    place: (bytes: Buffer) => number,
  ) {
    super(files)
    this.#root = root
    this.#place = place
  }

  override async *read(...args: Parameters<MemoryStore['read']>): AsyncGenerator<Uint8Array> {
    for await (const chunk of super.read(...args)) {
      if (!args[0].endsWith(ARCHIVE) || this.damaged) {
        yield chunk
        continue
      }
      const at = (await sizeInTar(chunk)) - 1
      yield chunk.subarray(0, at)
      await this.#damage()
      yield chunk.subarray(at)
    }
  }

  async #damage(): Promise<void> {
    const [path] = Object.keys(await treeOf(this.#root)).filter((name) => name.endsWith('.tsm'))
    if (path === undefined) return
    const bytes = await readFile(join(this.#root, path))
    const at = this.#place(bytes)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await writeFile(join(this.#root, path), bytes)
    this.damaged = true
  }
}

/** Returns where in an archive of stored blocks its first file ends. */
async function sizeInTar(archive: Uint8Array): Promise<number> {
  const tar = gunzipSync(archive)
  for await (const { offset, size } of readShardTar(once(tar))) {
    const end = tar.subarray(offset, offset + size)
    return Buffer.from(archive).indexOf(end) + size
  }
  return archive.length
}

async function restoreInto(
  root: string,
  store: MemoryStore,
  options: Partial<RestoreOptions> = {},
) {
  const [dataDir, walDir, metaDir] = ['data', 'wal', 'meta'].map((name) => join(root, name))
  return await restore({
    ...{ store, selection: {}, renames: {}, jobs: 2, attempts: 1, dryRun: false, signal },
    ...{ readBack: true, resume: false, salvage: false, tempDir: await tempDir('temp') },
    target: {
      directory: { dataDir, walDir, metaDir, env: {} },
      ...{ mode: 'read-write', influxdIsStopped: true },
    },
    ...options,
  })
}

async function countedSet(): Promise<{ store: CountedStore; size: number }> {
  const { store } = await backUp(SHARDS)
  const sizes = namesOf(store, ARCHIVE).map((name) => store.files.get(name)?.length ?? 0)
  expect(sizes).toHaveLength(SHARDS.length)
  return { store: new CountedStore(store.files), size: sizes.reduce((sum, size) => sum + size) }
}

/** Takes its parent from under the directory that files wait in, once the first archive is read. */
class MovingStore extends MemoryStore {
  readonly #root: string
  #isMoved = false

  constructor(store: MemoryStore, root: string) {
    super(store.files)
    this.#root = root
  }

  override async *read(...args: Parameters<MemoryStore['read']>): AsyncGenerator<Uint8Array> {
    yield* super.read(...args)
    if (!args[0].endsWith(ARCHIVE) || this.#isMoved) return
    this.#isMoved = true
    await rename(join(this.#root, 'data'), join(this.#root, 'other'))
    await writeFile(join(this.#root, 'data'), '')
  }
}

/** What a restore that fails says, and what it leaves. */
async function failed(store: MemoryStore, options: Partial<RestoreOptions> = {}) {
  const root = await tempDir('restored')
  const error = await restoreInto(root, store, options).catch((error: unknown) => error)
  if (!(error instanceof SnapError)) throw error
  return { code: error.code, message: error.message, left: await readdir(root) }
}

describe('a restore into directories', () => {
  it('reads archives once, and twice where it does not stage them', async () => {
    const { store, size } = await countedSet()
    const root = await tempDir('restored')
    await restoreInto(root, store)
    expect(store.archiveBytes).toBe(size)
    const other = await tempDir('restored')
    await restoreInto(other, store, { limitRate: 1e9 })
    expect(store.archiveBytes).toBe(3 * size)
    const shards = async (from: string) =>
      Object.entries(await treeOf(from)).filter(([path]) => !path.startsWith('meta/'))
    expect(await shards(root)).toEqual(await shards(other))
  })

  it('makes nothing of a damaged set, and says so as where archives are read twice', async () => {
    const { store } = await countedSet()
    const names = namesOf(store, ARCHIVE)
    const damages = fc.record({
      name: fc.constantFrom(...names),
      at: fc.nat(),
      kind: fc.constantFrom('flip', 'cut', 'more'),
    })
    const holds = async ({ name, at, kind }: { name: string; at: number; kind: string }) => {
      const damaged = store.copy()
      const bytes = Buffer.from(damaged.files.get(name) ?? [])
      const place = at % bytes.length
      bytes[place] = (bytes[place] ?? 0) ^ (kind === 'flip' ? 1 : 0)
      const changed = kind === 'cut' ? bytes.subarray(0, place) : bytes
      damaged.files.set(name, kind === 'more' ? Buffer.concat([bytes, bytes]) : changed)
      const twice = await failed(damaged, { limitRate: 1e9 })
      expect(twice).toMatchObject({ code: 'E_INTEGRITY', left: [] })
      expect(twice.message).toContain(name)
      expect(await failed(damaged)).toEqual(twice)
    }
    await fc.assert(fc.asyncProperty(damages, holds), { numRuns: 20 })
  })

  it('makes nothing of an archive that was stored damaged, with the right hash', async () => {
    const { store } = await countedSet()
    const name = namesOf(store, ARCHIVE)[2] ?? ''
    const bytes = Buffer.from(store.files.get(name) ?? [])
    changeFile(store, name, () => bytes.subarray(0, -1))
    const found = await failed(store)
    expect(found).toMatchObject({ code: 'E_INTEGRITY', left: [] })
    expect(found.message).toContain(`${name}: archive cut`)
  })

  it('says why it failed, and warns of what it could not remove', async () => {
    const { store } = await countedSet()
    const root = await tempDir('restored')
    const warnings: string[] = []
    const progress: RestoreOptions['progress'] = (event) => {
      if (event.type === 'note') warnings.push(event.message)
    }
    const name = namesOf(store, ARCHIVE)[0] ?? ''
    store.files.set(name, Buffer.from('nothing'))
    const moving = new MovingStore(store, root)
    const restoring = restoreInto(root, moving, { jobs: 1, progress })
    await expect(restoring).rejects.toMatchObject({ code: 'E_INTEGRITY' })
    expect(warnings).toEqual([expect.stringMatching(/data\/snap-.* the next restore removes it$/)])
  })

  it.each([
    ['a block', () => 30, 'wrong CRC'],
    ['the index', (bytes: Buffer) => bytes.length - 40, 'reads back as something else'],
  ])('finds %s that is not on the disk as it was written', async (_, place, message) => {
    const { store } = await backUp(SHARDS, { compression: 'none' })
    const root = await tempDir('restored')
    const damaging = new DamagingStore(store.files, root, place)
    // one at a time, so that the file that is found is the one that is being written
    const restoring = restoreInto(root, damaging, { jobs: 1 })
    const error = await restoring.catch((error: unknown) => error)
    expect(damaging.damaged).toBe(true)
    expect(error).toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining(message),
    })
    expect(await readdir(root)).toEqual([])
  })

  it('leaves directories as they were that were there', async () => {
    const { store } = await countedSet()
    const name = namesOf(store, ARCHIVE)[0] ?? ''
    store.files.set(name, Buffer.from('nothing'))
    const root = await tempDir('restored')
    for (const part of ['data', 'wal', 'meta']) await mkdir(join(root, part))
    const before = await treeOf(root)
    await expect(restoreInto(root, store)).rejects.toMatchObject({ code: 'E_INTEGRITY' })
    expect(await treeOf(root)).toEqual(before)
  })
})
