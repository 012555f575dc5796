import { chmod, chown, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileMode, giveTo, makeDirectoryInside, ownerOf } from '../../src/datadir/owner.ts'
import { tempDir } from '../helpers/temp.ts'

const isRoot = process.getuid?.() === 0

describe('makeDirectoryInside', () => {
  it('makes what is missing and takes what is there', async () => {
    const dir = await tempDir('owner')
    await chmod(dir, 0o701)
    await mkdir(join(dir, 'a'))
    expect(await makeDirectoryInside(dir, ['a', 'b', 'c'])).toBe(join(dir, 'a/b/c'))
    expect(await makeDirectoryInside(dir, ['a', 'b', 'c'])).toBe(join(dir, 'a/b/c'))
    expect((await stat(join(dir, 'a/b'))).mode & 0o777).toBe(0o701)
    expect(fileMode(await ownerOf(dir))).toBe(0o600)
  })

  it('refuses what is no directory', async () => {
    const dir = await tempDir('owner')
    await writeFile(join(dir, 'a'), '')
    await expect(makeDirectoryInside(dir, ['a'])).rejects.toMatchObject({ code: 'E_SOURCE' })
    await expect(ownerOf(join(dir, 'none'))).rejects.toMatchObject({ code: 'E_DESTINATION' })
  })
})

describe.runIf(isRoot)('as another user', () => {
  async function asNobody(work: () => Promise<void>): Promise<void> {
    process.seteuid?.(65_534)
    try {
      await work()
    } finally {
      process.seteuid?.(0)
    }
  }

  it('says where a directory cannot be made', async () => {
    const dir = await tempDir('owner')
    await chmod(join(dir, '..'), 0o711)
    await chmod(dir, 0o755)
    await asNobody(async () => {
      const making = makeDirectoryInside(dir, ['a'])
      await expect(making).rejects.toMatchObject({
        code: 'E_DESTINATION',
        message: expect.stringContaining(join(dir, 'a')),
      })
    })
  })

  it('refuses to leave influxd with a file of somebody else', async () => {
    const dir = await tempDir('owner')
    await chmod(join(dir, '..'), 0o711)
    const path = join(dir, 'file')
    await writeFile(path, '')
    await chown(path, 65_534, 65_534)
    await chmod(dir, 0o777)
    const owner = await ownerOf(dir)
    await asNobody(async () => {
      await expect(giveTo(path, owner)).rejects.toMatchObject({
        code: 'E_DESTINATION',
        hint: 'run snap as that user or as root',
      })
    })
    await giveTo(path, owner)
    expect((await stat(path)).uid).toBe(0)
  })
})
