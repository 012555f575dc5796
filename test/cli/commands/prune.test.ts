import { chmod, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { hour, type SampleSet, storeOf } from '../../operations/prune-sets.ts'
import { writeFiles } from '../../portable/samples.ts'
import { expectCode, snap } from './snap.ts'
import { newTarget, restored } from './targets.ts'

/** A directory with a set of each of four days. */
async function target(...others: readonly SampleSet[]): Promise<string> {
  const directory = await tempDir('prune')
  const days = [0, 24, 48, 72].map((at) => ({ at }))
  await writeFiles(directory, storeOf(...days, ...others).files)
  return directory
}

describe('snap prune', () => {
  it('shows every set with the reason, and deletes when that is confirmed', async () => {
    const directory = await target({ at: 73, own: [], shared: { 1: 0 } })
    const words = ['prune', '--keep-last', '2', '--keep-weekly', '2', directory]
    const shown = await snap(...words)
    expect(shown.stdout.split('\n')).toEqual([
      '20240104T010000Z  keep    last, weekly',
      '20240104T000000Z  keep    last',
      '20240103T000000Z  remove',
      '20240102T000000Z  remove',
      '20240101T000000Z  keep    weekly',
      expect.stringMatching(
        /^would remove 2 of 5 sets in \S+: 18 files, [\d.]+ KiB; --confirm does it$/,
      ),
      '',
    ])
    const planned = await expectCode(0, ...words)
    expect(planned.document).toMatchObject({ confirmed: false, freed: { files: 18 } })
    expect(await snap(...words, '--confirm', '--dry-run')).toEqual(shown)
    const done = await expectCode(0, ...words, '--confirm')
    expect(done.document).toEqual({ ...planned.document, confirmed: true })
    expect((await readdir(directory)).filter((name) => /^2024010[23]/.test(name))).toEqual([])
    expect(await snap(...words, '--confirm', '--quiet')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    })
    const again = await snap(...words, '--confirm')
    expect(again.stdout).toMatch(/^removed 0 of 3 sets in \S+: 0 files, 0 B$/m)
  })

  it('leaves sets that share archives whole, and restorable', async () => {
    const { flags } = await makeDirectory()
    const place = await newTarget()
    for (let night = 0; night < 3; night++) {
      await expectCode(0, 'backup', ...flags, '--incremental', place)
    }
    const points = await restored(place)
    const { document } = await expectCode(0, 'prune', '--keep-last', '1', '--confirm', place)
    expect(document.sets.map(({ action }: { action: string }) => action)).toEqual([
      'keep',
      'remove',
      'remove',
    ])
    expect((await expectCode(0, 'verify', '--deep', place)).document.problems).toEqual([])
    expect(await restored(place)).toEqual(points)
    const { document: next } = await expectCode(0, 'backup', ...flags, '--incremental', place)
    expect(next.set).toBeDefined()
    expect((await expectCode(0, 'verify', place)).document.problems).toEqual([])
  })

  it('wants a rule, and counts above zero', async () => {
    const { error } = await expectCode(2, 'prune', '--confirm', 'nowhere')
    expect(error).toMatchObject({ message: 'no rule says what to keep' })
    await expectCode(2, 'prune', '--keep-last', '0', 'nowhere')
    await expectCode(2, 'prune', '--keep-last', '1', '--min-sets', '0', 'nowhere')
    await expectCode(2, 'prune', '--keep-within', 'long', 'nowhere')
    await expectCode(10, 'prune', '--keep-within', '7d', await tempDir('empty'))
    await expectCode(16, 'prune', '--keep-last', '1', '--db', 'no', await target())
  })

  it('refuses with 18 if a manifest cannot be read, and deletes nothing', async () => {
    const directory = await target()
    await writeFile(join(directory, `${hour(24)}.manifest`), '{')
    const before = await readdir(directory)
    const { error } = await expectCode(18, 'prune', '--keep-last', '1', '--confirm', directory)
    expect(error?.message).toMatch(/^nothing was deleted: \S+: 20240102T000000Z\.manifest /)
    expect(error?.hint).toContain('remove 20240102T000000Z.manifest')
    expect(await readdir(directory)).toEqual(before)
  })

  it('tells of pins, of what is unfinished and of strays', async () => {
    const directory = await target()
    await writeFile(join(directory, `${hour(0)}.pin`), '')
    await writeFile(join(directory, `${hour(99)}.pending`), '')
    await rm(join(directory, `${hour(24)}.manifest`))
    const { stdout } = await snap('prune', '--keep-last', '1', directory)
    expect(stdout).toContain('20240101T000000Z  keep    pinned\n')
    expect(stdout).toContain('set 20240105T030000Z is not finished\n')
    expect(stdout).toMatch(/^8 files, [\d.]+ KiB, of sets without a manifest; `snap verify` names/m)
  })

  it('names reasons of every kind', async () => {
    const since = { at: 80, own: [], unchanged: { 1: 72 } }
    const only = { at: 81, own: [1], catalog: { selection: { databases: ['db'] } } }
    const directory = await target(since, only, { at: 82, own: [1], stock: true })
    const words = ['prune', '--keep-last', '1', '--db', 'db', '--db', 'other', directory]
    const { stdout } = await snap(...words)
    expect(stdout).toMatch(/^20240104T100000Z {2}keep {4}made by influxd$/m)
    expect(stdout).toMatch(/^20240104T000000Z {2}keep {4}needed by 20240104T080000Z$/m)
    const { stdout: others } = await snap('prune', '--keep-last', '1', '--db', 'db', directory)
    expect(others).toMatch(/^20240101T000000Z {2}keep {4}holds other databases$/m)
  })

  it('tells of an earlier prune that it finishes', async () => {
    const directory = await target()
    const journal = { schema: 'snap/prune-journal/1', sets: [hour(0), hour(24)] }
    await writeFile(join(directory, 'prune.pending'), JSON.stringify(journal))
    await rm(join(directory, `${hour(0)}.manifest`))
    const words = ['prune', '--keep-last', '3', '--confirm', directory]
    expect((await snap(...words)).stdout).toMatch(
      /^an earlier prune began to remove set 20240101T000000Z$/m,
    )
    const left = await readdir(directory)
    expect(left.filter((name) => name.startsWith(hour(0)) || name.endsWith('.pending'))).toEqual([])
  })

  it.skipIf(process.getuid?.() === 0)('ends with 15 where it may not delete', async () => {
    const directory = await target()
    await writeFile(join(directory, 'prune.pending'), '')
    await chmod(directory, 0o500)
    const outcome = await expectCode(15, 'prune', '--keep-last', '1', '--confirm', directory)
    await chmod(directory, 0o700)
    expect(outcome.error?.code).toBe('E_DESTINATION')
  })
})
