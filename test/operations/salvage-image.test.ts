import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { openRestorable } from '../../src/operations/open-restorable.ts'
import { salvageShard } from '../../src/operations/salvage.ts'
import { isStoredDamage, openImage } from '../../src/operations/salvage-image.ts'
import { readSidecar } from '../../src/portable/sets.ts'
import { packShardTar } from '../../src/tar/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { backUp, namesOf } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const TEMP = await tempDir('image')
const { signal } = new AbortController()

async function tarOf(files: Readonly<Record<string, Uint8Array>>): Promise<Buffer> {
  const entries = Object.entries(files).map(([name, bytes]) => ({
    ...{ name, size: bytes.length, mtime: new Date(0), body: [bytes] },
  }))
  const chunks: Uint8Array[] = []
  for await (const chunk of packShardTar(entries)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function imageOf(
  stored: Uint8Array,
  { database = 'd', isPlain = false, tempDir: temp = TEMP } = {},
) {
  const store = new MemoryStore([['a', stored]])
  const part = {
    name: 'a',
    stored: undefined,
    tarSize: isPlain ? undefined : 1,
    open: () => store.read('a'),
  }
  const shard = { database, retentionPolicy: 'r', shardId: 1n }
  return await openImage(part, { store, shard, sidecar: undefined, tempDir: temp, signal })
}

describe('the image of a damaged tar', () => {
  const database = `${'ö'.repeat(100)} long`
  const body = Buffer.alloc(700, 1)

  it('has the files with long names, of this shard alone', async () => {
    const tar = await tarOf({
      [`${database}/r/1/1.tsm`]: body,
      [`${database}/r/2/2.tsm`]: body,
      [`${database}/r/1/3.tsm`]: body,
    })
    for (const [stored, isPlain] of [
      [gzipSync(tar), false],
      [tar, true],
    ] as const) {
      const { files, tar: access } = await imageOf(stored, { database, isPlain })
      expect(files.map(({ name, size }) => [name, size])).toEqual([
        ['1.tsm', 700],
        ['3.tsm', 700],
      ])
      const [first] = files
      expect(await access.read(first?.offset ?? 0, 700)).toEqual(body)
      await access.close()
    }
  })

  it('ends where the tar is cut, in a body or a header', async () => {
    const tar = await tarOf({ [`${database}/r/1/1.tsm`]: body })
    const cutBody = await imageOf(tar.subarray(0, tar.length - 2048 + 100), {
      database,
      isPlain: true,
    })
    expect(cutBody.files).toHaveLength(1)
    const cutHeader = await imageOf(tar.subarray(0, 1024), { database, isPlain: true })
    expect(cutHeader.files).toEqual([])
    expect(cutHeader.gaps).toHaveLength(1)
  })

  it('fails where there is no room for it', async () => {
    const stored = gzipSync(Buffer.alloc(9 * 1024 * 1024))
    await expect(imageOf(stored, { tempDir: '/no/such/place' })).rejects.toMatchObject({
      code: 'E_DESTINATION',
    })
  })

  it('passes over directories', async () => {
    const tar = await tarOf({ 'd/r/1/1.tsm': body })
    const header = Buffer.from(tar.subarray(0, 512))
    header.fill(0, 0, 100).write('d/r/1/index/')
    header.write('00000000000', 124)
    header[156] = '5'.charCodeAt(0)
    header.fill(' ', 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    const { files, gaps } = await imageOf(Buffer.concat([header, tar]), { isPlain: true })
    expect([files.length, gaps]).toEqual([1, []])
  })

  it('knows a sector that cannot be read from a store that is gone', () => {
    const errno = (code: string) => Object.assign(new Error(code), { code })
    const failed = (code: string) => new SnapError('E_SOURCE', 'x', { cause: errno(code) })
    expect(isStoredDamage(failed('EIO'))).toBe(true)
    expect(isStoredDamage(failed('EACCES'))).toBe(false)
    expect(isStoredDamage(new SnapError('E_CUT', 'x'))).toBe(true)
    expect(isStoredDamage(new Error('x'))).toBe(false)
  })
})

describe('a large archive with one damaged block', () => {
  it('loses what is in that block', async () => {
    let seed = 1
    const noise = () => {
      seed = (seed * 16807) % 2147483647
      return seed / 3
    }
    const keys = Array.from({ length: 300 }, (_, i) => {
      const rows = Array.from({ length: 1000 }, (_, j) => [DAY + BigInt(j), noise()] as const)
      return [`m,n=${String(i).padStart(3, '0')}#!~#v`, points('float', rows)] as const
    })
    const shard: ShardFixture = {
      ...{ id: 1n, database: 'd', retentionPolicy: 'r', day: 1n },
      files: [{ points: Object.fromEntries(keys) }],
    }
    const { store } = await backUp([shard])
    const [name = ''] = namesOf(store, '.tar.gz')
    const backup = await openRestorable(store, {})
    const { backup: set } = backup
    const catalog = 'catalog' in set ? set.catalog : undefined
    const [sidecarName = ''] = namesOf(store, '.s1.json')
    const sidecar = catalog && (await readSidecar(store, catalog, sidecarName))
    const second = sidecar?.seekPoints[1]?.[1] ?? 0
    expect(second).toBeGreaterThan(0)
    const bytes = store.files.get(name) ?? new Uint8Array()
    bytes.fill(0xff, second + 1000, second + 1100)
    const [stored] = backup.shards
    if (stored === undefined) throw new Error('no shard')
    const options = { store, backup, tempDir: TEMP, signal }
    const { content, losses } = await salvageShard(stored, options)
    expect(losses).toHaveLength(1)
    const lost = Number(/: (\d+) blocks of m are damaged/.exec(losses[0]?.message ?? '')?.[1])
    expect(lost).toBeGreaterThan(50)
    expect(lost).toBeLessThan(200)
    expect(content).toBeDefined()

    store.read = async function* () {
      yield* []
      throw new SnapError('E_SOURCE', 'the store is gone')
    }
    await expect(salvageShard(stored, options)).rejects.toMatchObject({
      message: 'the store is gone',
    })
  })
})
