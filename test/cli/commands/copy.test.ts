import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempDir } from '../../helpers/temp.ts'
import { archives, hour, storeOf } from '../../operations/prune-sets.ts'
import { writeFiles } from '../../portable/samples.ts'
import { expectCode, snap } from './snap.ts'
import { backedUp, newTarget, restored } from './targets.ts'

describe('snap copy', () => {
  it('copies sets that restore as the originals do', async () => {
    const source = await backedUp()
    const target = await newTarget()
    const shown = await snap('copy', '--dry-run', source, target)
    expect(shown.stdout).toMatch(/^\S+ {2}copy {5}11 files, .* KiB\nwould copy 1 set, .* KiB to/)
    const { document } = await expectCode(0, 'copy', source, target)
    expect(document).toMatchObject({ source, target, sets: [{ action: 'copied', files: 11 }] })
    expect((await readdir(target)).sort()).toEqual((await readdir(source)).sort())
    expect((await expectCode(0, 'verify', '--deep', target)).document.problems).toEqual([])
    expect(await restored(target)).toEqual(await restored(source))
    const again = await snap('copy', source, target)
    expect(again.stdout).toBe(`copied 0 sets, 0 B to ${target}; 1 set there already\n`)
  })

  it('tells of damage with 13, and copies the rest', async () => {
    const source = await tempDir('source')
    await writeFiles(
      source,
      storeOf({ at: 0 }, { at: 1, shared: { 3: 0 }, own: [] }, { at: 2 }).files,
    )
    await writeFile(join(source, archives(0, 1)[0] ?? ''), 'damaged')
    const outcome = await expectCode(13, 'copy', source, await newTarget())
    expect(outcome.document.sets).toMatchObject([
      { set: hour(2), action: 'copied' },
      { set: hour(1), action: 'copied' },
      { set: hour(0), action: 'damaged', problem: expect.stringContaining('7 bytes, expected') },
    ])
    expect(outcome.error?.message).toContain(`1 set could not be copied: set ${hour(0)}: `)
    const { stdout } = await snap('copy', source, await newTarget())
    expect(stdout).toMatch(/^20240101T000000Z {2}damaged {2}\S+/m)
  })

  it('takes SOURCE from the configuration file, and wants both places', async () => {
    const source = await backedUp()
    const config = join(await tempDir('config'), 'snap.toml')
    await writeFile(config, `[targets.nightly]\nlocation = ${JSON.stringify(source)}\n`)
    const named = ['copy', '--config', config, '--target', 'nightly']
    const { document } = await expectCode(0, ...named, await newTarget())
    expect(document.source).toBe(source)
    expect((await expectCode(2, ...named)).error?.message).toBe('missing TARGET')
    expect((await expectCode(2, 'copy')).error?.message).toBe('missing SOURCE')
    expect((await expectCode(2, 'copy', source)).error?.message).toBe('missing TARGET')
    expect((await expectCode(2, ...named, source, 'b')).error?.message).toMatch(
      /^SOURCE is given twice/,
    )
    expect((await expectCode(2, 'copy', source, `${source}/.`)).error?.message).toContain('both')
  })
})
