import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, it } from 'vitest'
import { snapEnding } from '../faults/snap.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { count, expectPlaces, killAt, tryAll } from './crash.ts'
import { expectClean, expectSound, setsIn } from './sets.ts'

const TIMEOUT = 1_800_000

describe('a backup that is killed', () => {
  let flags: readonly string[]
  /** A target with a set. */
  let older: string

  beforeAll(async () => {
    flags = (await makeDirectory()).flags
    older = await tempDir('older')
    await snapEnding(0, 'backup', ...flags, older)
  })

  const copy = async () => {
    const target = await tempDir('target')
    await cp(older, target, { recursive: true })
    return target
  }

  const commands = {
    'backup into a new directory': ['backup', '--jobs', '1'],
    'export of a time range into a set': [
      ...['export', '--jobs', '1', '--start', '1970-01-01T00:00:00Z'],
    ],
  }

  describe.each(Object.entries(commands))('as %s', (row, command) => {
    const words = (target: string) => [...command, ...flags, target]

    it('can be made again', { timeout: TIMEOUT }, async () => {
      const points = await count(words(join(await tempDir('target'), 'new')))
      await expectPlaces(row, points)
      await tryAll(row, { points, more: 1 }, async (point) => {
        const target = join(await tempDir('target'), 'new')
        await killAt(point, words(target))
        await expectSound(target, [])
        await snapEnding(0, ...words(target))
        await expectClean(target, 1)
      })
    })
  })

  it('beside an older set leaves it whole and can be made again', {
    timeout: TIMEOUT,
  }, async () => {
    const sets = await setsIn(older)
    const words = (target: string) => ['backup', '--jobs', '1', ...flags, target]
    const points = await count(words(await copy()))
    await expectPlaces('backup beside an older set', points)
    await tryAll('backup beside an older set', { points, more: 2 }, async (point) => {
      const target = await copy()
      await killAt(point, words(target))
      await expectSound(target, sets)
      await snapEnding(0, ...words(target))
      await expectClean(target, 2)
    })
  })

  it('is gone on with, and leaves nothing of itself', { timeout: TIMEOUT }, async () => {
    const sets = await setsIn(older)
    const words = (target: string) => ['backup', '--resume', '--jobs', '1', ...flags, target]
    const points = await count(words(await copy()))
    await expectPlaces('backup that is resumed', points)
    await tryAll('backup that is resumed', { points, more: 2 }, async (point) => {
      const target = await copy()
      await killAt(point, words(target))
      await expectSound(target, sets)
      await snapEnding(0, ...words(target))
      await expectClean(target, 2)
    })
  })
})
