import { spawnSync } from 'node:child_process'
import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { beforeEach, describe, expect, it } from 'vitest'
import { openDataDirectory, openStagingArea, stageInto } from '../../src/datadir/index.ts'
import { SnapError } from '../../src/errors.ts'
import { temporaryName } from '../../src/io/process-owner.ts'
import { describeWithInfluxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { makeMeta, once, pathsIn, tsmBytes, tsmName } from './shard-files.ts'

const { signal } = new AbortController()
const SHARD = { database: 'db', retentionPolicy: 'rp', shardId: 1n }

let dir: string
let tsm: Uint8Array

beforeEach(async () => {
  dir = await tempDir('staged')
  tsm = await tsmBytes({ m: [[1, 2]] })
})

const open = () => openStagingArea(pathsIn(dir), true)

/** Makes the directories of an influxd that has one shard in its metastore. */
async function makeUsed(): Promise<void> {
  await makeMeta(dir, [1n])
  for (const name of ['data', 'wal']) await mkdir(join(dir, name))
}

/** Stages one file of a shard. */
async function* oneFile(bytes = tsm, size = bytes.length) {
  yield { name: tsmName(1), size, body: once(bytes) }
}

/** The name that a process which has ended left. */
function nameOfTheDead(): string {
  const { pid } = spawnSync('true')
  return temporaryName().replace(/^snap-\d+-/, `snap-${pid}-`)
}

describe('a staging area', () => {
  it('holds files that become those of a shard, with the owner and mode of its directory', async () => {
    await makeUsed()
    const area = await open()
    const files = await stageInto(await area.makePlace('1'), oneFile(), signal)
    const directory = await openDataDirectory(pathsIn(dir), {
      mode: 'read-write',
      influxdIsStopped: true,
    })
    await directory.tsdbStore.adoptFiles(SHARD, files)
    await directory.close()
    await area.close()
    const path = join(dir, 'data/db/rp/1', tsmName(1))
    expect((await readFile(path)).equals(tsm)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o644)
    expect(await readdir(join(dir, 'data'))).toEqual(['db'])
  })

  it('tells files that stand as they were staged from all others', async () => {
    await makeUsed()
    const area = await open()
    const { directory: place, files } = await stageInto(
      await area.makePlace('1'),
      oneFile(),
      signal,
    )
    expect(files).toMatchObject([{ name: tsmName(1), size: tsm.length, crc: crc32(tsm) }])
    const directory = await openDataDirectory(pathsIn(dir), {
      mode: 'read-write',
      influxdIsStopped: true,
    })
    const { tsdbStore } = directory
    const holds = () => tsdbStore.holdsStaged(1n, files)
    await tsdbStore.createShard('db', 'rp', 1n)
    expect(await holds()).toBe(false)
    await tsdbStore.adoptFiles(SHARD, { directory: place, files })
    expect(await holds()).toBe(true)
    const path = join(dir, 'data/db/rp/1', tsmName(1))
    const other = join(dir, 'data/db/rp/1', tsmName(2))
    await writeFile(other, tsm)
    expect(await holds()).toBe(false)
    await rm(other)
    expect(await holds()).toBe(true)
    await writeFile(path, tsm)
    expect(await holds()).toBe(false)
    await directory.close()
    await area.close()
  })

  it('is made with the directories that are missing, which go again where nobody has used them', async () => {
    const root = join(dir, 'new')
    const area = await openStagingArea(pathsIn(root), true)
    await stageInto(await area.makePlace('1'), oneFile(), signal)
    expect((await readdir(root)).sort()).toEqual(['data', 'meta', 'wal'])
    await area.close()
    expect(await readdir(dir)).toEqual([])
  })

  it('leaves directories that somebody has used since', async () => {
    const area = await open()
    await writeFile(join(dir, 'meta/meta.db'), '')
    await area.close()
    expect((await readdir(dir)).sort()).toEqual(['data', 'meta', 'wal'])
  })

  it('leaves what somebody has put into a directory, and the directory', async () => {
    const area = await open()
    await writeFile(join(dir, 'wal/mine'), '')
    await area.close()
    expect(Object.keys(await treeOf(dir))).toEqual(['wal', 'wal/mine'])
  })

  it.each([
    ['that is damaged', () => oneFile(Buffer.alloc(99)), 'begins with'],
    ['that is shorter than it says', () => oneFile(tsm, tsm.length + 1), 'ends after'],
  ])('refuses a file %s', async (_, files, message) => {
    await makeUsed()
    const before = await treeOf(dir)
    const area = await open()
    const place = await area.makePlace('1')
    await expect(stageInto(place, files(), signal)).rejects.toThrow(message)
    await area.close()
    expect(await treeOf(dir)).toEqual(before)
  })

  it.runIf(process.geteuid?.() === 0)('is of the owner of the data directory', async () => {
    await makeUsed()
    await chown(join(dir, 'data'), 1234, 4321)
    const area = await open()
    const { directory } = await stageInto(await area.makePlace('1'), oneFile(), signal)
    for (const path of [join(directory, '..'), directory, join(directory, tsmName(1))])
      expect(await stat(path)).toMatchObject({ uid: 1234, gid: 4321 })
    await area.close()
  })

  describeWithInfluxd('that is left', () => {
    it('is no database to an influxd that starts, and goes with what that put there', async () => {
      const area = await open()
      const { directory } = await stageInto(await area.makePlace('1'), oneFile(), signal)
      const left = join(dir, 'data', nameOfTheDead())
      await rename(join(directory, '..'), left)
      const influxd = await startInfluxd({ dir })
      expect(JSON.stringify(await influxd.query('SHOW DATABASES'))).not.toContain('snap-')
      await influxd.stop()
      expect((await readdir(left)).sort()).toEqual(['1', '_series'])
      await (await open()).close()
      await expect(stat(left)).rejects.toThrow('ENOENT')
    })
  })

  it('goes with the process that made it', async () => {
    await makeUsed()
    const [left, own] = [nameOfTheDead(), temporaryName()]
    for (const name of [left, own]) await mkdir(join(dir, 'data', name, '1'), { recursive: true })
    const area = await open()
    const names = await readdir(join(dir, 'data'))
    expect(names).not.toContain(left)
    expect(names).toContain(own)
    await area.close()
    expect(await readdir(join(dir, 'data'))).toEqual([own])
  })

  it('that a dead process left goes when the directory is opened for writing', async () => {
    await makeUsed()
    await mkdir(join(dir, 'data', nameOfTheDead(), '1'), { recursive: true })
    const options = { mode: 'read-write', influxdIsStopped: true } as const
    await (await openDataDirectory(pathsIn(dir), options)).close()
    expect(await readdir(join(dir, 'data'))).toEqual([])
  })

  it('says what it cannot remove', async () => {
    const area = await open()
    await rename(join(dir, 'data'), join(dir, 'other'))
    await writeFile(join(dir, 'data'), 'a file')
    await expect(area.close()).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining(`${dir}/data/snap-`),
    })
  })

  it('leaves none of the three directories where one cannot be made', async () => {
    const paths = { ...pathsIn(dir), metaDir: join(dir, 'a', 'x'.repeat(256)) }
    await expect(openStagingArea(paths, true)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    expect(await readdir(dir)).toEqual([])
  })

  it('is not made where a directory cannot be', async () => {
    await writeFile(join(dir, 'data'), 'a file')
    await expect(open()).rejects.toBeInstanceOf(SnapError)
    expect(await readdir(dir)).toEqual(['data'])
  })
})
