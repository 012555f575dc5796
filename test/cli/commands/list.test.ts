import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { contextOf, runIn } from '../harness.ts'
import { expectCode, snap } from './snap.ts'
import { backedUp } from './targets.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures')

describe('snap list', () => {
  it('lists sets, newest first', async () => {
    const target = await backedUp()
    const { flags } = await makeDirectory()
    const second = await expectCode(0, 'backup', ...flags, '--db', 'two words', target)
    const { document } = await expectCode(0, 'list', target)
    expect(document.source).toBe(target)
    expect(document.sets).toMatchObject([
      { set: second.document.set, kind: 'snap', databases: ['two words'], shards: 1, bytes: 2048 },
      { kind: 'snap', databases: ['telegraf', 'two words'], shards: 4 },
    ])
    const [newest] = document.sets
    expect(newest.set).toBe(newest.time.replace(/[-:]|\.000/g, ''))
    const { stdout } = await snap('list', '--quiet', target)
    expect(stdout).toMatch(
      /^set .*\n\S+ {2}full +1 +2\.0 KiB .* {2}not checked {2}two words\n\S+ {2}full +4 .*telegraf, two words\n$/,
    )
  })

  it('fits a terminal, in colours that say how good a set is', async () => {
    const target = await backedUp()
    await expectCode(0, 'pin', target, 'latest')
    const shown = async (...words: string[]) => {
      const context = contextOf(['list', ...words, target], { stdoutColumns: 72 })
      await runIn(context)
      return context.stdout.text
    }
    const plain = await shown('--no-color')
    expect(plain).toMatch(
      /^\S+ {2}full .* {2}not +telegraf,\n {51}checked, +two words\n {51}pinned\n$/m,
    )
    const colored = await shown()
    expect(colored).toContain('\u001b[33mchecked,\u001b[39m')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).toBe(plain)
    await rm(join(target, (await readdir(target)).find((name) => name.endsWith('.tar.gz')) ?? ''))
    expect(await shown()).toMatch(/31m/)
  })

  it('lists sets of influxd', async () => {
    const { document } = await expectCode(0, 'list', join(FIXTURES, 'portable/two-sets'))
    expect(document.sets).toMatchObject([
      { set: '20261122T141642Z', kind: 'stock', databases: ['a.b', 'a', 'plain'] },
      { set: '20261122T141639Z', kind: 'stock' },
    ])
    const oldest = '20261122T141639Z'
    expect(document.sets[0].chain).toEqual({ sets: 2, oldest })
    expect(document.sets[1]).not.toHaveProperty('chain')
    const { stdout } = await snap('list', join(FIXTURES, 'portable/two-sets'))
    expect(stdout).toContain(
      `\n20261122T141642Z: up to 2 sets of influxd have archives of one shard`,
    )
  })

  it('says what is wrong with a set', async () => {
    const target = await backedUp()
    await writeFile(join(target, '20990101T000000Z.manifest'), 'rubbish')
    const archives = (await readdir(target)).filter((name) => name.endsWith('.tar.gz'))
    await rm(join(target, archives[0] ?? ''))
    const { document } = await expectCode(0, 'list', target)
    expect(document.sets).toMatchObject([
      { set: '20990101T000000Z', shards: 0, problem: expect.stringContaining('manifest') },
      { shards: 4, problem: expect.stringMatching(/^\S+\.s1\.tar\.gz is missing or cut$/) },
    ])
    const { stdout } = await snap('list', target)
    expect(stdout).toMatch(
      /^20990101T000000Z {2}stock .*damaged[\s\S]*\n20990101T000000Z: .*manifest/m,
    )
  })

  it('names a set that has lost its manifest', async () => {
    const target = await backedUp()
    const { flags } = await makeDirectory()
    const { document: gone } = await expectCode(0, 'backup', ...flags, target)
    await rm(join(target, `${gone.set}.manifest`))
    const { document } = await expectCode(0, 'list', target)
    expect(document.sets).toHaveLength(1)
    expect(document.headless).toEqual([gone.set])
    const { stdout } = await snap('list', target)
    expect(stdout).toContain(`\n${gone.set}: its manifest is gone, so it is no backup any more;`)
  })

  it('names the first of several archives that are missing', async () => {
    const target = await backedUp()
    const archives = (await readdir(target)).filter((name) => name.endsWith('.tar.gz'))
    for (const name of archives) await rm(join(target, name))
    const { document } = await expectCode(0, 'list', target)
    expect(document.sets[0].problem).toMatch(/^\S+\.s1\.tar\.gz is missing or cut, and 3 more$/)
  })

  it('ends with 10 where there are none', async () => {
    const empty = await tempDir('empty')
    expect((await expectCode(10, 'list', empty)).error?.message).toBe(`no backup in ${empty}`)
    const { error } = await expectCode(10, 'list', join(FIXTURES, 'legacy/increments'))
    expect(error?.hint).toContain('made by influxd without -portable')
    expect((await expectCode(2, 'list')).error?.message).toBe('missing SOURCE')
  })
})
