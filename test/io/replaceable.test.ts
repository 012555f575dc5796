import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { expectReplaceable } from '../../src/io/replaceable.ts'
import { tempDir } from '../helpers/temp.ts'

describe('expectReplaceable', () => {
  it('takes nothing, a file, and a link to a file or to nothing', async () => {
    const dir = await tempDir()
    await writeFile(join(dir, 'file'), '')
    await symlink('file', join(dir, 'link'))
    await symlink('none', join(dir, 'dangling'))
    for (const name of ['none', 'file', 'link', 'dangling']) {
      expect(await expectReplaceable(join(dir, name), '')).toBeUndefined()
    }
  })

  it('refuses what a rename would put a file in place of', async () => {
    const dir = await tempDir()
    const link = join(dir, 'link')
    await symlink('/dev/null', link)
    for (const path of ['/dev/full', link]) {
      await expect(expectReplaceable(path, 'what to do')).rejects.toMatchObject({
        code: 'E_DESTINATION',
        message: `${path}: expected a file, got a device or a pipe`,
        hint: 'what to do',
      })
    }
    await mkdir(join(dir, 'inner'))
    await writeFile(join(dir, 'file'), '')
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: 'E_DESTINATION', message: expect.stringMatching(message) })
    await expect(expectReplaceable(join(dir, 'inner'), '')).rejects.toEqual(refused(/a directory$/))
    await expect(expectReplaceable(join(dir, 'file', 'x'), '')).rejects.toEqual(refused(/ENOTDIR/))
  })

  it.skipIf(process.platform !== 'linux')('refuses links of the system', async () => {
    const dir = await mkdtemp('/dev/shm/snap-test-')
    onTestFinished(() => rm(dir, { recursive: true }))
    await writeFile(join(dir, 'file'), '')
    await symlink('file', join(dir, 'link'))
    expect(await expectReplaceable(join(dir, 'file'), '')).toBeUndefined()
    await expect(expectReplaceable(join(dir, 'link'), '')).rejects.toThrow(/a link of the system$/)
  })
})
