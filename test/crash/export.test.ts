import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { snap } from '../faults/snap.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'
import { count, expectPlaces, killAt, tryAll } from './crash.ts'

const TIMEOUT = 1_800_000

describe('an export that is killed', () => {
  let flags: readonly string[]
  beforeAll(async () => {
    flags = (await makeDirectory()).flags
  })

  async function readAll(directory: string): Promise<Record<string, string>> {
    const names = await filesOf(directory)
    const files = names.map(
      async (name) => [name, await readFile(join(directory, name), 'latin1')] as const,
    )
    return Object.fromEntries(await Promise.all(files))
  }

  it.each([
    ['csv', 'a directory', ''],
    ['parquet', 'a directory', ''],
    ['lp', 'a file', 'points.lp'],
  ])('as %s into %s can be made again', { timeout: TIMEOUT }, async (format, kind, file) => {
    const words = (place: string) => {
      const target = file === '' ? place : join(place, file)
      return ['export', '--db', 'telegraf', '--format', format, '--jobs', '1', ...flags, target]
    }
    const whole = await tempDir('export')
    const points = await count(words(whole))
    const expected = await readAll(whole)
    await expectPlaces(`export as ${format} into ${kind}`, points)
    await tryAll(`export as ${format} into ${kind}`, { points, more: 1 }, async (point) => {
      const place = await tempDir('export')
      await killAt(point, words(place))
      const left = Object.entries(await readAll(place))
      for (const [name, text] of left.filter(([each]) => !each.endsWith('.pending'))) {
        expect(text, name).toBe(expected[name])
      }
      const again = await snap(...words(place))
      // With 17 all files had their names when the first run was killed.
      expect([0, 17], again.stderr).toContain(again.code)
      expect(await readAll(place)).toEqual(expected)
    })
  })
})
