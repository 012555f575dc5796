import { utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateIdentity, identityToRecipient } from 'age-encryption'
import { describe, expect, it } from 'vitest'
import { type DirectorySpec, HOUR, makeDirectory } from '../../helpers/data-directory.ts'
import { describeWithInfluxd, startInfluxd } from '../../helpers/influxd.ts'
import { ROOT } from '../../helpers/sources.ts'
import { tempDir } from '../../helpers/temp.ts'
import { treeOf } from '../../helpers/tree.ts'
import { expectCode, snap } from './snap.ts'
import { isThere, newTarget } from './targets.ts'

const NOW = Math.floor((Date.now() * 1e6) / HOUR)

function shard(id: number, hour: number) {
  return { id, hour, files: [{ mem: [hour * HOUR + 1] }] }
}

/** Shards of an hour: some that are dropped soon, one that still takes points, one with time left, one for ever. */
const EXPIRING: DirectorySpec = {
  telegraf: {
    day: { duration: 24 * HOUR, shards: [shard(1, NOW - 20), shard(2, NOW - 23), shard(3, NOW)] },
    month: { duration: 720 * HOUR, shards: [shard(4, NOW - 2)] },
    autogen: { shards: [shard(5, 0)] },
  },
}

describe('snap check', () => {
  it('looks at source, files, target and temporary directory, and changes nothing', async () => {
    const { flags, root } = await makeDirectory()
    const target = await newTarget()
    const before = await treeOf(root)
    const { document } = await expectCode(0, 'check', ...flags, target)
    expect(
      document.parts.map(({ part, status }: Record<string, string>) => [part, status]),
    ).toEqual([
      ['temp-dir', 'ok'],
      ['source', 'ok'],
      ['files', 'ok'],
      ['http', 'skipped'],
      ['target', 'ok'],
    ])
    expect(document.parts[4].message).toContain('will be made')
    expect(await isThere(target)).toBe(false)
    expect(await treeOf(root)).toEqual(before)
    await expectCode(0, 'backup', ...flags, target)
    const { stdout } = await snap('check', ...flags, target)
    expect(stdout).toMatch(/^status +part +found\nok +temp-dir .*\n/)
    expect(stdout).toContain('sets: 1, the newest of ')
    expect((await expectCode(0, 'check', ...flags)).document.target).toBeUndefined()
  })

  it('ends with the code of the first part that failed, and looks at the others', async () => {
    const { flags } = await makeDirectory()
    const nowhere = ['--host', '127.0.0.1:1']
    const { document, error } = await expectCode(
      14,
      'check',
      ...nowhere,
      await newTarget(),
      '--expiry',
    )
    expect(error?.message).toMatch(/^source: 127\.0\.0\.1:1: cannot connect/)
    const found = document.parts.map(({ status, exitCode }: Record<string, unknown>) => [
      status,
      exitCode,
    ])
    expect(found).toEqual([
      ['ok', undefined],
      ['failed', 14],
      ['ok', undefined],
      ['skipped', undefined],
    ])
    const file = join(await tempDir('check'), 'file')
    await writeFile(file, '')
    await expectCode(14, 'check', ...flags, file)
    await expectCode(15, 'check', ...flags, '--temp-dir', '/nowhere')
    await expectCode(14, 'check', ...flags, '--http', 'http://127.0.0.1:1')
  })

  it('says that a target belongs to another server', async () => {
    const { flags } = await makeDirectory()
    const stock = join(ROOT, 'test/fixtures/portable/two-sets')
    const { error } = await expectCode(17, 'check', ...flags, stock)
    expect(error?.message).toMatch(/^target: .* is of the server with cluster id/)
  })

  it('reads the newest encrypted set with the keys that are given', async () => {
    const { flags } = await makeDirectory(EXPIRING)
    const target = await newTarget()
    const dir = await tempDir('keys')
    const [right, wrong] = [join(dir, 'right'), join(dir, 'wrong')]
    const key = await generateIdentity()
    await writeFile(right, `${key}\n`, { mode: 0o600 })
    await writeFile(wrong, `${await generateIdentity()}\n`, { mode: 0o600 })
    const to = ['--encrypt-to', await identityToRecipient(key)]
    await expectCode(0, 'backup', ...flags, ...to, target)
    const partOf = ({ document }: Awaited<ReturnType<typeof expectCode>>) =>
      document.parts.find(({ part }: Record<string, string>) => part === 'keys')
    const words = ['check', ...flags, target]
    expect(partOf(await expectCode(0, ...words))).toBeUndefined()
    const read = partOf(await expectCode(0, ...words, '--identity', right))
    expect(read.message).toContain('the keys read set ')
    await expectCode(12, ...words, '--identity', wrong)
    await expectCode(2, ...words, '--identity', '/nowhere')
    await expectCode(0, ...words, '--expiry', '--accept-unverified', '--identity', right)
  })

  it('refuses --expiry without a target', async () => {
    await expectCode(2, 'check', '--expiry', '--data-dir', '/nowhere')
  })
})

describe('snap check --expiry', () => {
  it('names shards that no verified set holds, the next to be dropped first', async () => {
    const { flags, root } = await makeDirectory(EXPIRING)
    const target = await newTarget()
    const words = ['check', '--expiry', ...flags, target]
    const none = await expectCode(21, ...words)
    const states = ({ document }: typeof none) =>
      document.expiring.map((one: Record<string, string>) => [one['shardId'], one['state']])
    expect(states(none)).toEqual([
      ['2', 'absent'],
      ['1', 'absent'],
    ])
    expect(none.error?.message).toMatch(/^2 shards may be dropped before a verified set holds them/)
    await expectCode(0, 'backup', ...flags, target)
    const unverified = await expectCode(21, ...words)
    expect(states(unverified)).toEqual([
      ['2', 'unverified'],
      ['1', 'unverified'],
    ])
    expect(unverified.error?.hint).toContain('snap verify')
    await expectCode(0, 'verify', '--subset', '50%', target)
    await expectCode(21, ...words)
    await expectCode(0, 'verify', target)
    await expectCode(0, 'verify', '--subset', '50%', target)
    expect(states(await expectCode(0, ...words)).map(([, state]: string[]) => state)).toEqual([
      'held',
      'held',
    ])
    const held = await expectCode(0, ...words, '--accept-unverified')
    expect(states(held).map(([, state]: string[]) => state)).toEqual(['held', 'held'])
    expect(held.document.expiring[0].set).toMatch(/^\d{8}T\d{6}Z$/)
    const { document } = await expectCode(0, ...words, '--within', '1s')
    expect(document.expiring).toEqual([])
    const far = await expectCode(0, ...words, '--within', '31d', '--rp', 'month')
    expect(states(far)).toEqual([['4', 'held']])
    const later = new Date(Date.now() + 120_000)
    await utimes(join(root, 'data/telegraf/day/2/000000001-000000001.tsm'), later, later)
    const changed = await expectCode(21, ...words, '--accept-unverified')
    expect(states(changed)).toEqual([
      ['2', 'changed'],
      ['1', 'held'],
    ])
    const { stdout } = await snap(...words, '--accept-unverified')
    expect(stdout).toMatch(
      /\nstate +shard +policy +to +dropped from +left +set\nchanged +2 +telegraf\.day /,
    )
  })
})

describeWithInfluxd('snap check, against influxd', () => {
  it('tells held shards from those that were written to again', async () => {
    const server = await startInfluxd()
    try {
      const start = Math.floor(Date.now() / 3_600_000) * 3_600_000
      await server.query(
        'CREATE DATABASE a WITH DURATION 3h REPLICATION 1 SHARD DURATION 1h NAME short',
      )
      const write = async (back: number) =>
        await server.write(`m v=1 ${BigInt(start - back) * 1_000_000n}`, { db: 'a' })
      await write(3_600_000)
      const target = await newTarget()
      const words = ['check', '--host', server.host, '--http', server.httpUrl, '--expiry', target]
      const first = await expectCode(21, ...words)
      expect(first.document.parts[2]).toMatchObject({ part: 'http', status: 'ok' })
      await expectCode(0, 'backup', '--host', server.host, '--http', server.httpUrl, target)
      const held = await expectCode(0, ...words, '--accept-unverified')
      expect(held.document.expiring).toMatchObject([{ state: 'held', database: 'a' }])
      // In the same second: a look at times alone would miss it.
      await write(3_599_000)
      const changed = await expectCode(21, ...words, '--accept-unverified')
      expect(changed.document.expiring).toMatchObject([{ state: 'changed' }])
    } finally {
      await server.dispose()
    }
  })
})
