import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { CAN_MOUNT, makeReadOnly, mountMemory } from '../../helpers/file-systems.ts'
import { expectCode, snap } from './snap.ts'
import { backedUp } from './targets.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures')

async function setOf(target: string): Promise<string> {
  const [manifest = ''] = (await readdir(target)).filter((name) => name.endsWith('.manifest'))
  return manifest.replace('.manifest', '')
}

describe('snap info', () => {
  it('shows one set in detail', async () => {
    const target = await backedUp()
    const { document } = await expectCode(0, 'info', target)
    expect(document).toMatchObject({
      ...{ source: target, kind: 'snap', content: 'full', shards: 4, lost: 0, pin: null },
      ...{ encrypted: false, pinned: false, shared: 0, tool: { name: 'snap' } },
    })
    expect(document.shardTable).toHaveLength(4)
    expect(document.shardTable[0]).toMatchObject({ shardId: '1', start: expect.any(String) })
    expect(document.files.every(({ present }: { present: boolean }) => present)).toBe(true)
    const { stdout } = await snap('info', target)
    expect(stdout).toMatch(/^set {9}\d{8}T\d{6}Z \(full\)$/m)
    expect(stdout).toMatch(/^verified {4}never$/m)
    expect(stdout).toMatch(/^two words\.autogen +10 /m)
  })

  it('shows sets of influxd, and damaged ones', async () => {
    const stock = join(FIXTURES, 'portable/two-sets')
    const { document } = await expectCode(0, 'info', '--set', '20261122T141642Z', stock)
    expect(document).toMatchObject({ kind: 'stock', shards: document.shardTable.length })
    expect(document.chain).toEqual({ sets: 2, oldest: '20261122T141639Z' })
    expect((await snap('info', stock)).stdout).toMatch(/^chain {7}up to 2 sets of influxd have/m)
    const target = await backedUp()
    await writeFile(join(target, `${await setOf(target)}.snap.json`), 'rubbish')
    const { document: damaged } = await expectCode(0, 'info', target)
    expect(damaged).toMatchObject({ shards: 0, problem: expect.stringContaining('sha256') })
    const { stdout } = await snap('info', target)
    expect(stdout).toMatch(/^set {9}\S+ \(unreadable\)$/m)
    expect(stdout).toMatch(/^problem .*sha256/m)
  })

  it('takes the beginning of a name, and says what was meant', async () => {
    const target = await backedUp()
    const set = await setOf(target)
    expect((await expectCode(0, 'info', '--set', set.slice(0, 12), target)).document.set).toBe(set)
    const wrong = `${set.slice(0, 9)}999999Z`
    const { error } = await expectCode(16, 'info', '--set', wrong, target)
    expect(error?.hint).toBe(`did you mean ${set}?`)
    await expectCode(0, 'backup', ...(await makeDirectory()).flags, target)
    const ambiguous = await expectCode(16, 'info', '--set', set.slice(0, 4), target)
    expect(ambiguous.error?.message).toContain('may be any of 2 sets')
  })
})

describe('the health of a set', () => {
  it('is noted by verify and drill, and shown', async () => {
    const target = await backedUp()
    const health = async () => (await expectCode(0, 'list', target)).document.sets[0]
    await expectCode(0, 'verify', '--no-record', target)
    expect(await health()).not.toHaveProperty('verified')
    await expectCode(0, 'verify', '--deep', target)
    expect((await health()).verified).toMatchObject({
      ...{ ok: true, deep: true, complete: true, problems: 0 },
    })
    await expectCode(0, 'drill', '--influxd', 'none', '--no-record', target)
    expect(await health()).not.toHaveProperty('drilled')
    await expectCode(0, 'drill', '--influxd', 'none', target)
    const { verified, drilled } = await health()
    expect(verified).toMatchObject({ ok: true })
    expect(drilled).toMatchObject({ ok: true, differences: 0, complete: true })
    const { stdout } = await snap('list', target)
    expect(stdout).toContain(' drilled ')
    expect((await snap('info', target)).stdout).toMatch(/^drilled .*as in the backup$/m)
    await expectCode(0, 'verify', target)
  })

  it('is bad where verify found damage, and ignored where it is damaged itself', async () => {
    const target = await backedUp()
    const set = await setOf(target)
    const archive = join(target, `${set}.s1.tar.gz`)
    const whole = await readFile(archive)
    const broken = Buffer.from(whole)
    broken[30] = (broken[30] ?? 0) ^ 1
    await writeFile(archive, broken)
    await expectCode(13, 'verify', target)
    expect((await snap('list', target)).stdout).toContain(' damaged ')
    await writeFile(archive, whole)
    const checks = join(target, `${set}.checks.json`)
    await writeFile(checks, (await readFile(checks, 'utf8')).replace('false', 'true '))
    expect((await snap('list', target)).stdout).toContain(' not checked ')
    const { document } = await expectCode(13, 'verify', target)
    expect(document.problems).toMatchObject([{ file: `${set}.checks.json` }])
    await expectCode(0, 'verify', target)
  })

  it.runIf(CAN_MOUNT)('changes nothing where it cannot be noted', async () => {
    const target = await mountMemory('size=4m')
    await expectCode(0, 'backup', ...(await makeDirectory()).flags, target)
    makeReadOnly(target)
    const { code, stderr } = await snap('verify', target)
    expect(code).toBe(0)
    expect(stderr).toContain('not noted beside the set')
  })
})

describe('snap pin', () => {
  it('protects a set from prune until it is unpinned', async () => {
    const target = await backedUp()
    const set = await setOf(target)
    await expectCode(0, 'backup', ...(await makeDirectory()).flags, target)
    const pinned = await expectCode(0, 'pin', '--reason', 'before the move', target, set)
    expect(pinned.document.sets).toEqual([set])
    const listed = (await expectCode(0, 'list', target)).document.sets
    expect(listed.map((one: { pinned: boolean }) => one.pinned)).toEqual([false, true])
    const { document } = await expectCode(0, 'info', '--set', set, target)
    expect(document.pin).toMatchObject({ reason: 'before the move' })
    expect((await snap('info', '--set', set, target)).stdout).toMatch(/^pinned +before the move$/m)
    await expectCode(0, 'prune', '--keep-last', '1', '--confirm', target)
    await expectCode(0, 'verify', target)
    expect((await expectCode(0, 'list', target)).document.sets).toHaveLength(2)
    await expectCode(0, 'unpin', target, set)
    await expectCode(0, 'unpin', target, set)
    await expectCode(0, 'prune', '--keep-last', '1', '--confirm', target)
    expect((await expectCode(0, 'list', target)).document.sets).toHaveLength(1)
    expect((await readdir(target)).filter((name) => name.startsWith(set))).toEqual([])
  })

  it('counts whatever is in the file', async () => {
    const target = await backedUp()
    const set = await setOf(target)
    await writeFile(join(target, `${set}.pin`), '')
    expect((await expectCode(0, 'info', target)).document).toMatchObject({
      pinned: true,
      pin: null,
    })
    expect((await snap('info', target)).stdout).toMatch(/^pinned +yes$/m)
    await expectCode(0, 'verify', target)
  })

  it('refuses what it cannot do before it does anything', async () => {
    const target = await backedUp()
    expect((await expectCode(2, 'pin', target)).error?.message).toBe('missing SET')
    await expectCode(16, 'pin', target, 'latest', '19990101T000000Z')
    await expectCode(10, 'pin', `${target}-no`, 'latest')
    expect((await readdir(target)).filter((name) => name.endsWith('.pin'))).toEqual([])
  })
})
