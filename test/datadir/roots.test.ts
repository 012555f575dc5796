import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeRoot, unmakeRoot } from '../../src/datadir/roots.ts'
import { tempDir } from '../helpers/temp.ts'

let dir: string
beforeEach(async () => {
  dir = await tempDir('roots')
})

describe('a directory with its parents', () => {
  it('is made where it is missing, and tells what it made', async () => {
    const [a, b] = [join(dir, 'a'), join(dir, 'a/b')]
    expect(await makeRoot(b)).toEqual([a, b])
    expect((await stat(b)).mode & 0o777).toBe(0o755)
    expect(await makeRoot(b)).toEqual([])
    await unmakeRoot([a, b])
    expect(await readdir(dir)).toEqual([])
  })

  it('leaves no parents where it cannot be made itself', async () => {
    await mkdir(join(dir, 'mine'))
    const path = join(dir, 'mine/a/b', 'x'.repeat(256))
    await expect(makeRoot(path)).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringMatching(/^.*x: ENAMETOOLONG/),
    })
    expect(await readdir(join(dir, 'mine'))).toEqual([])
  })

  it('goes no further than to what somebody else has put there', async () => {
    const made = await makeRoot(join(dir, 'a/b/c'))
    await writeFile(join(dir, 'a/mine'), '')
    await unmakeRoot(made)
    expect(await readdir(join(dir, 'a'))).toEqual(['mine'])
  })
})
