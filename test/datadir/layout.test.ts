import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  directoryInside,
  isInside,
  listShardDirectories,
  namesIn,
  shardParts,
  shardRelativePath,
  statIfThere,
  tsmNameOf,
} from '../../src/datadir/layout.ts'
import { tempDir } from '../helpers/temp.ts'

describe('tsmNameOf', () => {
  it.each([
    ['000000001-000000002.tsm', '000000001-000000002.tsm'],
    ['000000001-000000002.tombstone', '000000001-000000002.tsm'],
    ['000000001.tsm', undefined],
    ['000000001-000000002.tsm.tmp', undefined],
    ['fields.idx', undefined],
  ])('%s: %s', (name, expected) => {
    expect(tsmNameOf(name)).toBe(expected)
  })
})

describe('shardParts', () => {
  it('keeps odd names that can name a directory', () => {
    const location = { database: 'odd data', retentionPolicy: 'ü ✓', shardId: 2n ** 63n }
    expect(shardRelativePath(location)).toBe('odd data/ü ✓/9223372036854775808')
  })

  it.each(['', '.', '..', 'a/b', 'a\0b'])('refuses %j', (name) => {
    const refused = expect.objectContaining({ code: 'E_FORMAT' })
    expect(() => shardParts({ database: name, retentionPolicy: 'rp', shardId: 1n })).toThrow(
      refused,
    )
    expect(() => shardParts({ database: 'db', retentionPolicy: name, shardId: 1n })).toThrow(
      refused,
    )
  })

  it('refuses a policy that is called like the series file', () => {
    const location = { database: 'db', retentionPolicy: '_series', shardId: 1n }
    expect(() => shardParts(location)).toThrow('cannot name a retention policy')
  })
})

describe('isInside', () => {
  it.each([
    ['/a', '/a', true],
    ['/a', '/a/b/c', true],
    ['/a', '/ab', false],
    ['/a/b', '/a', false],
    ['/a', '/a/..b', true],
  ])('%s holds %s: %s', (root, path, expected) => {
    expect(isInside(root, path)).toBe(expected)
  })
})

describe('directoryInside', () => {
  it('finds a directory under a root that is a symbolic link', async () => {
    const dir = await tempDir('layout')
    await mkdir(join(dir, 'real/db/rp/1'), { recursive: true })
    await symlink('real', join(dir, 'data'))
    const root = join(dir, 'data')
    expect(await directoryInside(root, ['db', 'rp', '1'])).toBe(join(root, 'db/rp/1'))
    expect(await directoryInside(root, ['db', 'rp', '2'])).toBeUndefined()
  })

  it.each([
    ['a symbolic link', (path: string) => symlink('/', path)],
    ['something else', (path: string) => writeFile(path, '')],
  ])('refuses %s below the root', async (what, make) => {
    const dir = await tempDir('layout')
    await make(join(dir, 'db'))
    await expect(directoryInside(dir, ['db', 'etc'])).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: `${join(dir, 'db')}: expected a directory, got ${what}`,
    })
  })
})

describe('listShardDirectories', () => {
  it('lists what influxd takes for a shard and nothing else', async () => {
    const dir = await tempDir('layout')
    const made = ['db/rp/1', 'db/rp/18446744073709551615', 'db/rp/x', 'db/rp/007', 'db/_series/00']
    for (const path of [...made, 'other/rp 2/3']) await mkdir(join(dir, path), { recursive: true })
    await writeFile(join(dir, 'db/rp/5'), '')
    await symlink('db', join(dir, 'linked'))
    const found = await listShardDirectories(dir)
    expect(found.map(shardRelativePath).sort()).toEqual([
      'db/rp/1',
      'db/rp/18446744073709551615',
      'other/rp 2/3',
    ])
  })

  it('names the directory that cannot be listed', async () => {
    const path = join(await tempDir('layout'), 'none')
    await expect(listShardDirectories(path)).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: expect.stringContaining(path),
    })
  })
})

describe('statIfThere and namesIn', () => {
  it('pass on every failure but absence', async () => {
    const file = join(await tempDir('layout'), 'file')
    await writeFile(file, '')
    expect(await statIfThere(`${file}x`)).toBeUndefined()
    expect(await namesIn(`${file}x`)).toEqual([])
    await expect(statIfThere(join(file, 'x'))).rejects.toMatchObject({ code: 'E_SOURCE' })
    await expect(namesIn(file)).rejects.toMatchObject({ code: 'E_SOURCE' })
  })
})
