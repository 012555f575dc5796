import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  rmdir,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { clone } from '@bufbuild/protobuf'
import { beforeEach, describe, expect, it } from 'vitest'
import { MetaFile } from '../../src/datadir/meta-file.ts'
import { type Data, decodeData, emptyData, encodeData } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import { tempDir } from '../helpers/temp.ts'

let dir: string
let path: string
const allow = async () => {}
const isRoot = process.getuid?.() === 0

beforeEach(async () => {
  dir = await tempDir('meta')
  path = join(dir, 'meta.db')
})

/** An empty metastore with one field that no version known today has: field 100, varint 7. */
function withUnknownField(): Uint8Array {
  return Buffer.concat([encodeData(emptyData()), Buffer.from([0xa0, 0x06, 0x07])])
}

function changed(data: Data): Data {
  const copy = clone(DataSchema, data)
  copy.maxShardId += 1n
  return copy
}

describe('MetaFile', () => {
  it('returns the bytes as they are and what they say', async () => {
    const bytes = withUnknownField()
    await writeFile(path, bytes)
    const file = new MetaFile(dir, allow)
    expect(Buffer.from(await file.marshalBinary()).equals(bytes)).toBe(true)
    expect((await file.data()).index).toBe(1n)
    expect(await file.databases()).toEqual([])
    expect(await file.database('none')).toBeUndefined()
  })

  it('reads again when the file was replaced, and only then', async () => {
    await writeFile(path, encodeData(emptyData()))
    const file = new MetaFile(dir, allow)
    const first = await file.data()
    expect(await file.data()).toBe(first)
    await writeFile(`${path}tmp`, encodeData(emptyData()))
    await rename(`${path}tmp`, path)
    expect((await file.data()).clusterId).not.toBe(first.clusterId)
  })

  it('replaces the file with the next index, keeping unknown fields', async () => {
    await writeFile(path, withUnknownField())
    const file = new MetaFile(dir, allow)
    await file.setData(changed(await file.data()))
    const bytes = await readFile(path)
    expect(decodeData(bytes)).toMatchObject({ index: 2n, maxShardId: 1n })
    expect(bytes.includes(Buffer.from([0xa0, 0x06, 0x07]))).toBe(true)
    expect(await readdir(dir)).toEqual(['meta.db'])
  })

  it('keeps owner and mode of the file', async () => {
    await writeFile(path, withUnknownField())
    await chmod(path, 0o640)
    if (isRoot) await chown(path, 1234, 4321)
    const before = await stat(path)
    const file = new MetaFile(dir, allow)
    await file.setData(changed(await file.data()))
    const { mode, uid, gid, ino } = await stat(path)
    expect({ mode, uid, gid }).toEqual({ mode: before.mode, uid: before.uid, gid: before.gid })
    expect(ino).not.toBe(before.ino)
  })

  it('takes owner and mode of the directory for a new file', async () => {
    await chmod(dir, 0o750)
    if (isRoot) await chown(dir, 1234, 4321)
    await new MetaFile(dir, allow).create()
    const { mode, uid, gid } = await stat(path)
    expect(mode & 0o777).toBe(0o640)
    if (isRoot) expect({ uid, gid }).toEqual({ uid: 1234, gid: 4321 })
  })

  it('refuses data that is older than the file', async () => {
    const file = new MetaFile(dir, allow)
    await file.create()
    const data = await file.data()
    const [first, second] = await Promise.allSettled([
      file.setData(changed(data)),
      file.setData(changed(data)),
    ])
    expect(first.status).toBe('fulfilled')
    expect(second).toMatchObject({ reason: { code: 'E_DESTINATION', retryable: true } })
    await file.setData(changed(await file.data()))
    expect((await file.data()).index).toBe(3n)
  })

  it('changes nothing without a permit', async () => {
    const file = new MetaFile(dir, allow)
    await file.create()
    const before = await readFile(path)
    const closed = new MetaFile(dir, () => Promise.reject(new Error('no')))
    await expect(closed.setData(await closed.data())).rejects.toThrow('no')
    await expect(closed.create()).rejects.toThrow('no')
    expect((await readFile(path)).equals(before)).toBe(true)
  })

  it('leaves the old file and nothing else when it cannot write or rename', async () => {
    const file = new MetaFile(dir, allow)
    await file.create()
    const data = await file.data()
    await mkdir(`${path}.pending`)
    await expect(file.setData(data)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    await rmdir(`${path}.pending`)
    const odd = await tempDir('meta')
    await mkdir(join(odd, 'meta.db'))
    await expect(new MetaFile(odd, allow).create()).rejects.toMatchObject({
      code: 'E_DESTINATION',
    })
    expect(await readdir(odd)).toEqual(['meta.db'])
    await file.setData(data)
  })

  it('tells a missing file from a damaged and from a huge one', async () => {
    const file = new MetaFile(dir, allow)
    expect(await file.isThere()).toBe(false)
    await expect(file.data()).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: `${path}: there is no metastore`,
    })
    await writeFile(path, 'rubbish')
    await expect(file.data()).rejects.toMatchObject({ code: 'E_FORMAT' })
    await truncate(path, 65 * 1024 * 1024)
    await expect(file.data()).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining('expected at most'),
    })
    await expect(new MetaFile(path, allow).data()).rejects.toMatchObject({ code: 'E_SOURCE' })
  })
})
