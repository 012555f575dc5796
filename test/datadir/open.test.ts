import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdir, readdir, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type OpenOptions, openDataDirectory } from '../../src/datadir/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import {
  collect,
  makeMeta,
  makeShardFiles,
  once as onceBytes,
  pathsIn,
  tarOf,
  tsmBytes,
  tsmName,
} from './shard-files.ts'

const { signal } = new AbortController()
const READ_WRITE: OpenOptions = { mode: 'read-write', influxdIsStopped: true }
const isRoot = process.getuid?.() === 0

let dir: string

beforeEach(async () => {
  dir = await realpath(await tempDir('open'))
})

/** Everything below a directory with the time of its last change, of itself too. */
async function listing(directory: string): Promise<string[]> {
  const lines: string[] = []
  for (const path of ['.', ...(await readdir(directory, { recursive: true }))].sort()) {
    const { ino, size, mode, mtimeNs, ctimeNs } = await stat(join(directory, path), {
      bigint: true,
    })
    lines.push([path, ino, size, mode, mtimeNs, ctimeNs].join(' '))
  }
  return lines
}

/** Keeps a file open in another process until the test ends. */
async function holdOpen(path: string) {
  const child = spawn('sh', ['-c', 'exec 9<"$1"; echo ready; sleep 100', 'sh', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const { pid } = child
  if (pid === undefined) throw new Error('did not start')
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    process.kill(-pid, 'SIGKILL')
    await exit
  }
  onTestFinished(end)
  await once(child.stdout, 'data')
  return { pid, end }
}

describe('openDataDirectory, read-only', () => {
  it('changes nothing, whatever is asked of it', async () => {
    await makeMeta(dir, [1n])
    const tsm = await tsmBytes({ a: [[1, 2, 3]] })
    await makeShardFiles(dir, { data: { [tsmName(1)]: tsm, 'fields.idx': 'x' } })
    const before = await listing(dir)
    const directory = await openDataDirectory(pathsIn(dir), { mode: 'read-only' })
    const { metaClient, tsdbStore } = directory
    await collect((w) => tsdbStore.backupShard(1n, 0n, w, signal))
    await collect((w) => tsdbStore.exportShard(1n, 2n, 2n, w, signal))
    const readOnly = { code: 'E_DESTINATION', message: expect.stringContaining('reading only') }
    const tar = onceBytes(await tarOf({ [tsmName(2)]: tsm }))
    const changes = [
      async () => await metaClient.setData(await metaClient.data()),
      () => tsdbStore.createShard('db', 'rp', 2n),
      () => tsdbStore.setShardEnabled(1n, false),
      () => tsdbStore.restoreShard(1n, tar, signal),
    ]
    for (const change of changes) await expect(change()).rejects.toMatchObject(readOnly)
    await tsdbStore.setShardEnabled(1n, true)
    await directory.close()
    expect(await listing(dir)).toEqual(before)
  })

  it('works beside a process that has files open there', async () => {
    await makeMeta(dir, [1n])
    const { dataPath } = await makeShardFiles(dir, { data: { [tsmName(1)]: 'x' } })
    await holdOpen(join(dataPath, tsmName(1)))
    await (await openDataDirectory(pathsIn(dir), { mode: 'read-only' })).close()
  })

  it.each(['data', 'wal', 'meta', 'meta/meta.db'])(
    'refuses directories without %s',
    async (path) => {
      await makeMeta(dir, [])
      await makeShardFiles(dir, {})
      await rm(join(dir, path), { recursive: true })
      await expect(openDataDirectory(pathsIn(dir), { mode: 'read-only' })).rejects.toMatchObject({
        code: 'E_SOURCE',
        message: expect.stringContaining(join(dir, path)),
      })
    },
  )

  it('refuses a file for a directory', async () => {
    await makeMeta(dir, [])
    await writeFile(join(dir, 'data'), '')
    await expect(openDataDirectory(pathsIn(dir), { mode: 'read-only' })).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: `${join(dir, 'data')}: expected a directory`,
    })
  })

  it('refuses a temporary directory inside, also behind a link', async () => {
    await makeMeta(dir, [])
    await makeShardFiles(dir, {})
    await symlink(join(dir, 'data/db'), join(dir, 'link'))
    for (const temp of [join(dir, 'data'), join(dir, 'link')]) {
      const opening = openDataDirectory(pathsIn(dir), { mode: 'read-only', tempDir: temp })
      await expect(opening).rejects.toMatchObject({ code: 'E_USAGE' })
    }
    const missing = openDataDirectory(pathsIn(dir), { mode: 'read-only', tempDir: '/none' })
    await expect(missing).rejects.toMatchObject({ code: 'E_SOURCE' })
  })
})

describe('openDataDirectory, read-write', () => {
  it('makes all of a new directory, and gives it to who owns the place', async () => {
    if (isRoot) await chown(dir, 1234, 4321)
    const paths = pathsIn(join(dir, 'new'))
    const directory = await openDataDirectory(paths, { ...READ_WRITE, tempDir: tmpdir() })
    expect(await directory.metaClient.databases()).toEqual([])
    await directory.close()
    await directory.close()
    const tree = await treeOf(join(dir, 'new'))
    expect(Object.keys(tree)).toEqual(['data', 'meta', 'meta/meta.db', 'wal'])
    expect(tree['meta/meta.db']?.mode).toBe('644')
    for (const path of isRoot ? ['.', 'data', 'meta/meta.db'] : []) {
      expect(await stat(join(dir, 'new', path))).toMatchObject({ uid: 1234, gid: 4321 })
    }
  })

  it('keeps a second one away, and both while a file is open there', async () => {
    await makeMeta(dir, [1n])
    const { dataPath } = await makeShardFiles(dir, { data: { [tsmName(1)]: 'x' } })
    const directory = await openDataDirectory(pathsIn(dir), READ_WRITE)
    await expect(openDataDirectory(pathsIn(dir), READ_WRITE)).rejects.toMatchObject({
      code: 'E_LOCKED',
    })
    await directory.close()
    const before = await treeOf(dir)
    const { pid, end } = await holdOpen(join(dataPath, tsmName(1)))
    // What is seen counts for more than the operator's word.
    await expect(openDataDirectory(pathsIn(dir), READ_WRITE)).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining(`(process ${pid}, ${join(dataPath, tsmName(1))})`),
    })
    expect(await treeOf(dir)).toEqual(before)
    await end()
    await (await openDataDirectory(pathsIn(dir), READ_WRITE)).close()
  })

  it('looks again before a change', async () => {
    await makeMeta(dir, [1n])
    const { dataPath } = await makeShardFiles(dir, { data: { [tsmName(1)]: 'x' } })
    const directory = await openDataDirectory(pathsIn(dir), READ_WRITE)
    onTestFinished(() => directory.close())
    const data = await directory.metaClient.data()
    await directory.metaClient.setData(data)
    await holdOpen(join(dataPath, tsmName(1)))
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const inUse = { code: 'E_DESTINATION', message: expect.stringContaining('in use by') }
    const again = await directory.metaClient.data()
    await expect(directory.metaClient.setData(again)).rejects.toMatchObject(inUse)
    await expect(directory.tsdbStore.createShard('db', 'rp', 2n)).rejects.toMatchObject(inUse)
    await expect(directory.tsdbStore.setShardEnabled(1n, false)).rejects.toMatchObject(inUse)
  })

  it('makes no metastore beside shards of another', async () => {
    await makeShardFiles(dir, {})
    await expect(openDataDirectory(pathsIn(dir), READ_WRITE)).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('has shard db/rp/1'),
      hint: expect.stringContaining('if its meta.db is lost'),
    })
    expect(await readdir(join(dir, 'data'))).toEqual(['db'])
  })

  it('lets go of the lock when the metastore is damaged', async () => {
    await makeMeta(dir, [])
    await writeFile(join(dir, 'meta/meta.db'), 'rubbish')
    await expect(openDataDirectory(pathsIn(dir), READ_WRITE)).rejects.toMatchObject({
      code: 'E_FORMAT',
    })
    expect(await readdir(join(dir, 'meta'))).toEqual(['meta.db'])
  })

  it('says what it cannot make', async () => {
    await writeFile(join(dir, 'file'), '')
    const opening = openDataDirectory(pathsIn(join(dir, 'file')), READ_WRITE)
    await expect(opening).rejects.toMatchObject({ code: expect.stringMatching(/^E_(SOURCE|DEST)/) })
  })

  it.runIf(isRoot)('needs the word of the operator where others cannot be seen', async () => {
    const place = join(dir, 'place')
    await mkdir(place)
    await chown(place, 65_534, 65_534)
    const paths = pathsIn(place)
    process.seteuid?.(65_534)
    try {
      await expect(openDataDirectory(paths, { mode: 'read-write' })).rejects.toMatchObject({
        code: 'E_DESTINATION',
        message: expect.stringContaining('cannot tell whether influxd runs'),
        hint: expect.stringContaining('--influxd-is-stopped'),
      })
    } finally {
      process.seteuid?.(0)
    }
    expect(await readdir(place)).toEqual([])
  })
})
