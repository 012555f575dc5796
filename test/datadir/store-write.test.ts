import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  type DataDirectory,
  type IndexVersion,
  openDataDirectory,
  type WriteFiles,
} from '../../src/datadir/index.ts'
import { SnapError } from '../../src/errors.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { makeMeta, makeShardFiles, once, pathsIn, tarOf, tsmBytes, tsmName } from './shard-files.ts'

const { signal } = new AbortController()
const isRoot = process.getuid?.() === 0
const TOMBSTONE = '000000001-000000001.tombstone'

let dir: string
let tsm: Buffer
let deletes: Uint8Array

beforeEach(async () => {
  dir = await tempDir('store')
  await makeMeta(dir, [1n])
  tsm = await tsmBytes({ a: [[1, 2, 3]] })
  deletes = encodeTombstones([{ key: Buffer.from('a#!~#value'), minTime: 1n, maxTime: 2n }])
})

async function open(indexVersion: IndexVersion = 'inmem'): Promise<DataDirectory> {
  const options = { mode: 'read-write', influxdIsStopped: true } as const
  return await openDataDirectory(pathsIn(dir, indexVersion), options)
}

async function restore(files: Readonly<Record<string, Uint8Array | string>>, id = 1n) {
  await restoreBytes(await tarOf(files, id), id)
}

async function restoreBytes(tar: Uint8Array, id = 1n): Promise<void> {
  const directory = await open()
  try {
    await directory.tsdbStore.setShardEnabled(id, false)
    await directory.tsdbStore.restoreShard(id, once(tar), signal)
    await directory.tsdbStore.setShardEnabled(id, true)
  } finally {
    await directory.close()
  }
}

async function shardNames(): Promise<string[]> {
  return (await readdir(join(dir, 'data/db/rp/1'))).sort()
}

describe('restoreShard', () => {
  it('puts TSM files and their tombstones in place, with owner and mode of the directory', async () => {
    const { dataPath } = await makeShardFiles(dir, {})
    await chmod(dataPath, 0o750)
    if (isRoot) await chown(dataPath, 1234, 4321)
    await restore({ [TOMBSTONE]: deletes, [tsmName(1)]: tsm, [tsmName(2)]: tsm })
    expect(await shardNames()).toEqual([TOMBSTONE, tsmName(1), tsmName(2)])
    for (const name of await shardNames()) {
      const { mode, uid, gid } = await stat(join(dataPath, name))
      expect(mode & 0o777).toBe(0o640)
      if (isRoot) expect([uid, gid]).toEqual([1234, 4321])
    }
    expect((await readFile(join(dataPath, tsmName(2)))).equals(tsm)).toBe(true)
  })

  it('does nothing for an empty upload and removes what an earlier one left', async () => {
    const { dataPath } = await makeShardFiles(dir, {
      data: { [tsmName(1)]: tsm, 'fields.idx': 'f' },
    })
    await mkdir(join(dataPath, 'index'))
    await mkdir(join(dataPath, 'snap-restore.tmp'))
    await writeFile(join(dataPath, 'snap-restore.tmp', tsmName(5)), 'half')
    await restore({})
    expect(await shardNames()).toEqual([tsmName(1), 'fields.idx', 'index'])
  })

  it('takes the same upload again, also after half of it was put in place', async () => {
    const { dataPath } = await makeShardFiles(dir, { data: { [TOMBSTONE]: deletes } })
    const files = { [tsmName(1)]: tsm, [TOMBSTONE]: deletes, [tsmName(2)]: tsm }
    await restore(files)
    await rm(join(dataPath, tsmName(2)))
    const before = await stat(join(dataPath, tsmName(1)))
    await restore(files)
    await restore(files)
    expect((await stat(join(dataPath, tsmName(1)))).ino).toBe(before.ino)
    expect(await shardNames()).toEqual([TOMBSTONE, tsmName(1), tsmName(2)])
  })

  it.each([
    ['another file', () => ({ [tsmName(1)]: 'other' }), () => ({ [tsmName(1)]: tsm })],
    ['a longer file', () => ({ [tsmName(1)]: `${tsm}x` }), () => ({ [tsmName(1)]: tsm })],
    [
      'deletes of its own',
      () => ({ [tsmName(1)]: tsm, [TOMBSTONE]: deletes }),
      () => ({ [tsmName(1)]: tsm }),
    ],
    ['deletes for a file to come', () => ({ [TOMBSTONE]: deletes }), () => ({ [tsmName(1)]: tsm })],
    [
      'no deletes',
      () => ({ [tsmName(1)]: tsm }),
      () => ({ [tsmName(1)]: tsm, [TOMBSTONE]: deletes }),
    ],
  ])('refuses a name under which the shard has %s, and installs nothing', async (_, has, sent) => {
    await makeShardFiles(dir, { data: has() })
    const before = await treeOf(join(dir, 'data'))
    await expect(restore({ ...sent(), [tsmName(2)]: tsm })).rejects.toMatchObject({
      code: 'E_TARGET_EXISTS',
      message: expect.stringContaining('another file of that name'),
    })
    expect(await treeOf(join(dir, 'data'))).toEqual(before)
  })

  it('refuses a directory that has the name of a file', async () => {
    const { dataPath } = await makeShardFiles(dir, {})
    await mkdir(join(dataPath, tsmName(1)))
    await expect(restore({ [tsmName(1)]: tsm })).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
  })

  it('takes away the fields and the index of a tsi1 shard, and keeps those of an inmem one', async () => {
    const { dataPath } = await makeShardFiles(dir, {
      data: { 'fields.idx': 'f', 'fields.idxl': 'l' },
    })
    await restore({ [tsmName(1)]: tsm })
    expect(await shardNames()).toContain('fields.idx')
    await mkdir(join(dataPath, 'index/0'), { recursive: true })
    await writeFile(join(dataPath, 'index/0/L0-00000001.tsl'), 'log')
    await restore({ [tsmName(2)]: tsm })
    expect(await shardNames()).toEqual([tsmName(1), tsmName(2), 'index'])
    expect(await readdir(join(dataPath, 'index'))).toEqual([])
  })

  const key = Buffer.from('a#!~#value')
  it.each([
    [
      'of another shard',
      () => tarOf({ [tsmName(1)]: tsm }, 2n),
      'E_FORMAT',
      'is for shard db/rp/2',
    ],
    ['that are no TSM files', () => tarOf({ 'fields.idx': 'x' }), 'E_FORMAT', 'expected a TSM'],
    ['in a directory', () => tarOf({ [`index/${tsmName(1)}`]: tsm }), 'E_FORMAT', 'expected a TSM'],
    ['that are no TSM inside', () => tarOf({ [tsmName(1)]: 'nothing' }), 'E_FORMAT', 'no TSM file'],
    [
      'with deletes alone',
      () => tarOf({ [TOMBSTONE]: deletes }),
      'E_FORMAT',
      'is not in the upload',
    ],
    ['cut', async () => (await tarOf({ [tsmName(1)]: tsm })).subarray(0, -512), 'E_CUT', 'trailer'],
    ['not there', async () => Buffer.alloc(0), 'E_CUT', 'ended after 0 bytes'],
    [
      'with damaged deletes',
      () =>
        tarOf({
          [tsmName(1)]: tsm,
          [TOMBSTONE]: encodeTombstones([{ key, minTime: 0n, maxTime: 1n }]).subarray(0, 10),
        }),
      'E_FORMAT',
      TOMBSTONE,
    ],
  ])('refuses files %s', async (_, make, code, message) => {
    await makeShardFiles(dir, { data: { [tsmName(9)]: tsm, 'fields.idx': 'x' } })
    const before = await treeOf(join(dir, 'data'))
    await expect(restoreBytes(await make())).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
    expect(await treeOf(join(dir, 'data'))).toEqual(before)
  })

  it('refuses whatever is damaged in flight, and then changes nothing', async () => {
    await makeShardFiles(dir, {})
    const tar = await tarOf({ [tsmName(1)]: tsm, [TOMBSTONE]: deletes })
    const before = await treeOf(join(dir, 'data/db'))
    const directory = await open()
    const flip = fc.record({
      at: fc.nat(tar.length - 1),
      bit: fc.nat(7),
      end: fc.nat(tar.length - 1),
    })
    const property = fc.asyncProperty(flip, fc.boolean(), async ({ at, bit, end }, isCut) => {
      const damaged = Buffer.from(tar)
      damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at)
      const body = isCut ? tar.subarray(0, end) : damaged
      const restoring = directory.tsdbStore.restoreShard(1n, once(body), signal)
      const error: unknown = await restoring.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (error === undefined) {
        // No checksum covers the tar's bodies or the index of a TSM file; each block has one.
        const installed = await readFile(join(dir, 'data/db/rp/1', tsmName(1)))
        const index = Number(tsm.readBigUInt64BE(tsm.length - 8))
        expect(installed.subarray(0, index)).toEqual(tsm.subarray(0, index))
        for (const name of await shardNames()) await rm(join(dir, 'data/db/rp/1', name))
      } else {
        expect(error).toBeInstanceOf(SnapError)
        expect(await treeOf(join(dir, 'data/db'))).toEqual(before)
      }
    })
    await fc.assert(property, { numRuns: process.env['SLOW'] === '1' ? 3000 : 150 })
    await directory.close()
  })

  it('takes out again what it put in place when a file cannot be', async () => {
    const { dataPath } = await makeShardFiles(dir, {})
    const directory = await open()
    async function* body() {
      yield await tarOf({ [tsmName(1)]: tsm, [tsmName(2)]: tsm })
      // After the last byte is staged, before anything is put in place.
      await rm(join(dataPath, 'snap-restore.tmp', tsmName(2)))
    }
    const restoring = directory.tsdbStore.restoreShard(1n, body(), signal)
    await expect(restoring).rejects.toMatchObject({ code: 'E_DESTINATION' })
    expect(await shardNames()).toEqual([])
    await directory.close()
  })

  it('stops when it is told to and leaves nothing', async () => {
    await makeShardFiles(dir, {})
    const directory = await open()
    const stop = new AbortController()
    async function* body() {
      yield (await tarOf({ [tsmName(1)]: tsm })).subarray(0, 600)
      stop.abort(new Error('gone'))
      await new Promise(() => {})
    }
    const restoring = directory.tsdbStore.restoreShard(1n, body(), stop.signal)
    await expect(restoring).rejects.toThrow('gone')
    expect(await shardNames()).toEqual([])
    await directory.close()
  })

  it('makes a shard that only the metastore has', async () => {
    await restore({ [tsmName(1)]: tsm })
    expect(await shardNames()).toEqual([tsmName(1)])
    expect(await readdir(join(dir, 'wal/db/rp/1'))).toEqual([])
  })

  it('refuses an unknown shard', async () => {
    await expect(restore({}, 7n)).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: `shard 7 is not in ${dir}/data`,
    })
  })
})

describe('restoreFiles', () => {
  type Files = Parameters<DataDirectory['tsdbStore']['restoreFiles']>[1]
  type Sent = Files extends AsyncIterable<infer F> ? F : never
  const sent = (name: string, bytes: Uint8Array, size = bytes.length): Sent => {
    return { name, size, body: once(bytes) }
  }
  const restoreFiles = async (files: readonly Sent[], stop = signal, retentionPolicy = 'rp') => {
    const directory = await open()
    try {
      const all = (async function* () {
        yield* files
      })()
      const shard = { database: 'db', retentionPolicy, shardId: 1n }
      await directory.tsdbStore.restoreFiles(shard, all, stop)
    } finally {
      await directory.close()
    }
  }

  it('puts files in place as an upload of them does, and makes the shard', async () => {
    await restoreFiles([sent(TOMBSTONE, deletes), sent(tsmName(1), tsm), sent(tsmName(2), tsm)])
    expect(await shardNames()).toEqual([TOMBSTONE, tsmName(1), tsmName(2)])
    expect((await readFile(join(dir, 'data/db/rp/1', tsmName(2)))).equals(tsm)).toBe(true)
    await expect(restoreFiles([sent(tsmName(1), tsm)])).rejects.toMatchObject({
      code: 'E_TARGET_EXISTS',
    })
  })

  it.each([
    ['shorter than they say', () => [sent(tsmName(2), tsm, tsm.length + 1)], 'E_CUT', 'ends after'],
    ['longer than they say', () => [sent(tsmName(2), tsm, tsm.length - 1)], 'E_FORMAT', 'at least'],
    [
      'that come twice',
      () => [sent(tsmName(1), tsm), sent(tsmName(1), tsm)],
      'E_FORMAT',
      'comes twice',
    ],
    ['in another directory', () => [sent(`../${tsmName(1)}`, tsm)], 'E_FORMAT', 'expected a TSM'],
    ['that are damaged', () => [sent(tsmName(1), Buffer.alloc(99))], 'E_FORMAT', 'begins with'],
    ['with deletes alone', () => [sent(TOMBSTONE, deletes)], 'E_FORMAT', 'is not in the upload'],
  ])('refuses files %s, and changes nothing', async (_, files, code, message) => {
    await makeShardFiles(dir, { data: { [tsmName(9)]: tsm, 'fields.idx': 'x' } })
    const before = await treeOf(join(dir, 'data'))
    await expect(restoreFiles([sent(tsmName(8), tsm), ...files()])).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
    expect(await treeOf(join(dir, 'data'))).toEqual(before)
  })

  it('refuses a shard that is elsewhere', async () => {
    await expect(restoreFiles([sent(tsmName(1), tsm)], signal, 'other')).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: 'shard 1 is db/rp/1, expected db/other/1',
    })
    expect(await shardNames()).toEqual([])
  })

  it('stops when it is told to, within a file, and leaves nothing', async () => {
    await makeShardFiles(dir, {})
    const before = await treeOf(join(dir, 'data'))
    const stop = new AbortController()
    const body = (async function* () {
      yield tsm
      stop.abort(new SnapError('E_INTERRUPTED', 'stopped'))
      await new Promise(() => {})
    })()
    const files = [{ name: tsmName(1), size: 2 * tsm.length, body }]
    await expect(restoreFiles(files, stop.signal)).rejects.toThrow('stopped')
    expect(await treeOf(join(dir, 'data'))).toEqual(before)
  })
})

describe('createShard', () => {
  async function make(indexVersion: IndexVersion = 'inmem', policy = 'rp'): Promise<void> {
    const directory = await open(indexVersion)
    await directory.tsdbStore.createShard('db', policy, 1n).finally(() => directory.close())
  }

  it('makes the directories of an inmem shard', async () => {
    await make()
    expect(await readdir(join(dir, 'data/db/rp/1'))).toEqual([])
    expect(await readdir(join(dir, 'wal/db/rp/1'))).toEqual([])
  })

  it('makes an empty index for a tsi1 shard, with owner and mode of the root', async () => {
    for (const root of ['data', 'wal']) {
      await mkdir(join(dir, root))
      await chmod(join(dir, root), 0o710)
      if (isRoot) await chown(join(dir, root), 1234, 4321)
    }
    await make('tsi1')
    for (const path of ['data/db', 'data/db/rp/1/index', 'wal/db/rp/1']) {
      const { mode, uid, gid } = await stat(join(dir, path))
      expect(mode & 0o777).toBe(0o710)
      if (isRoot) expect([uid, gid]).toEqual([1234, 4321])
    }
  })

  it('takes an empty shard as it is, and its index away if it shall be inmem', async () => {
    await make('tsi1')
    await writeFile(join(dir, 'wal/db/rp/1/_00001.wal'), '')
    await mkdir(join(dir, 'data/db/rp/1/snap-restore.tmp'))
    await make('tsi1')
    expect(await readdir(join(dir, 'data/db/rp/1'))).toContain('index')
    await make('inmem')
    expect(await readdir(join(dir, 'data/db/rp/1'))).toEqual(['snap-restore.tmp'])
  })

  it.each([
    'data/db/rp/1/000000001-000000001.tsm',
    'data/db/rp/1/fields.idx',
    'data/db/rp/1/index/0',
    'wal/db/rp/1/_00001.wal',
  ])('refuses a place where another shard left %s', async (path) => {
    await mkdir(join(dir, path, '..'), { recursive: true })
    await writeFile(join(dir, path), 'x')
    await expect(make('tsi1')).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
  })

  it('refuses names and links that lead elsewhere', async () => {
    await expect(make('inmem', '../../other')).rejects.toMatchObject({ code: 'E_FORMAT' })
    await mkdir(join(dir, 'data'), { recursive: true })
    await symlink('/tmp', join(dir, 'data/db'))
    await expect(make()).rejects.toMatchObject({ code: 'E_SOURCE' })
  })
})

describe('deleteShard', () => {
  it('takes back what createShard made', async () => {
    const directory = await open('tsi1')
    const { tsdbStore } = directory
    await tsdbStore.createShard('db', 'rp', 1n)
    await tsdbStore.createShard('db', 'rp', 2n)
    await tsdbStore.deleteShard('db', 'rp', 1n)
    expect(await readdir(join(dir, 'data/db/rp'))).toEqual(['2'])
    await tsdbStore.deleteShard('db', 'rp', 2n)
    await tsdbStore.deleteShard('db', 'rp', 2n)
    await directory.close()
    expect(await readdir(join(dir, 'data'))).toEqual([])
    expect(await readdir(join(dir, 'wal'))).toEqual([])
  })

  it('leaves what has files', async () => {
    const directory = await open('inmem')
    await directory.tsdbStore.createShard('db', 'rp', 1n)
    await writeFile(join(dir, 'data/db/rp/1/fields.idx'), 'x')
    await directory.tsdbStore.deleteShard('db', 'rp', 1n)
    await directory.close()
    expect(await readdir(join(dir, 'data/db/rp/1'))).toEqual(['fields.idx'])
    expect(await readdir(join(dir, 'wal'))).toEqual([])
  })
})

describe('addFiles and replaceFiles', () => {
  const writing = (name: string): WriteFiles => {
    return async (openFile) => {
      const file = await openFile(name)
      await file.write(tsm)
      await file.close()
    }
  }

  it('add and replace whole files', async () => {
    await makeShardFiles(dir, {
      data: { [tsmName(1)]: tsm, [TOMBSTONE]: deletes },
      wal: { '_00001.wal': '' },
    })
    const { tsdbStore, close } = await open()
    await tsdbStore.addFiles(1n, writing(tsmName(5)))
    expect(await shardNames()).toEqual([TOMBSTONE, tsmName(1), tsmName(5)])
    const { state = '' } = (await tsdbStore.standing(1n)) ?? {}
    await tsdbStore.replaceFiles(1n, writing(tsmName(9)), state)
    expect(await shardNames()).toEqual([tsmName(9)])
    expect(await readdir(join(dir, 'wal/db/rp/1'))).toEqual([])
    expect(await tsdbStore.standing(2n)).toBeUndefined()
    await close()
  })

  it('leave a shard as it is that has changed since it was read, or if what writes fails', async () => {
    await makeShardFiles(dir, { data: { [tsmName(1)]: tsm } })
    const { tsdbStore, close } = await open()
    const { state = '' } = (await tsdbStore.standing(1n)) ?? {}
    const failing: WriteFiles = async (openFile) => {
      await (await openFile(tsmName(7))).write(tsm)
      throw new SnapError('E_FORMAT', 'no more')
    }
    await expect(tsdbStore.replaceFiles(1n, failing, state)).rejects.toThrow('no more')
    await expect(tsdbStore.addFiles(1n, failing)).rejects.toThrow('no more')
    await writeFile(join(dir, 'data/db/rp/1', tsmName(2)), tsm)
    const replaced = tsdbStore.replaceFiles(1n, writing(tsmName(9)), state)
    await expect(replaced).rejects.toThrow('changed while it was read')
    expect(await shardNames()).toEqual([tsmName(1), tsmName(2)])
    await close()
  })

  it('refuse a file that is damaged', async () => {
    await makeShardFiles(dir, { data: { [tsmName(1)]: tsm } })
    const { tsdbStore, close } = await open()
    const damaged: WriteFiles = async (openFile) => {
      const file = await openFile(tsmName(7))
      await file.write(tsm.subarray(0, 20))
      await file.close()
    }
    await expect(tsdbStore.addFiles(1n, damaged)).rejects.toThrow(SnapError)
    expect(await shardNames()).toEqual([tsmName(1)])
    await close()
  })
})
