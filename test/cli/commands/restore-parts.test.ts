import { create } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { type Data, findDatabase } from '../../../src/meta/index.ts'
import { SubscriptionInfoSchema } from '../../../src/meta/meta_pb.gen.ts'
import {
  changeMetastore,
  type DirectorySpec,
  HOUR,
  makeDirectory,
  metastoreOf,
  pointsIn,
  pointsOnDisk,
  readMetastore,
} from '../../helpers/data-directory.ts'
import { expectCode, snap } from './snap.ts'
import { backedUp, isThere, newDirectory, newTarget, restored } from './targets.ts'

const ONE_POINT = { autogen: { shards: [{ id: 1, hour: 0, files: [{ m: [1] }] }] } }

/** Three databases, two of which begin alike. */
const THREE: DirectorySpec = {
  tele_a: ONE_POINT,
  tele_b: { autogen: { shards: [{ id: 2, hour: 0, files: [{ m: [2] }] }] } },
  plant: { autogen: { shards: [{ id: 3, hour: 0, files: [{ m: [3] }] }] } },
}

async function three(...words: string[]): Promise<string> {
  const target = await newTarget()
  await expectCode(0, 'backup', ...(await makeDirectory(THREE)).flags, ...words, target)
  return target
}

describe('snap restore of some databases', () => {
  it('takes patterns', async () => {
    const set = await three()
    expect(await restored(set, '--db', 'tele*')).toEqual([
      'tele_a/autogen m 1',
      'tele_b/autogen m 2',
    ])
    expect(await restored(set, '--exclude-db', 'tele_?')).toEqual(['plant/autogen m 3'])
    const some = await restored(set, '--db', 'tele*', '--exclude-db', '*_a')
    expect(some).toEqual(['tele_b/autogen m 2'])
    expect(await restored(await backedUp(), '--db', '*')).toEqual(pointsIn())
    const { error } = await expectCode(
      16,
      'restore',
      ...(await newDirectory()).flags,
      '--db',
      'x*',
      set,
    )
    expect(error?.message).toMatch(/: database x\* is not in any set$/)
  })

  it('takes the newest set that holds all that matches', async () => {
    const target = await newTarget()
    const { flags } = await makeDirectory(THREE)
    const { document: whole } = await expectCode(0, 'backup', ...flags, '--db', 'tele*', target)
    await expectCode(0, 'backup', ...flags, '--db', 'plant', target)
    const { document } = await expectCode(
      0,
      ...['restore', ...(await newDirectory()).flags, '--db', 'tele*', target],
    )
    expect(document.set).toBe(whole.set)
    expect(await restored(target, '--db', 'tele_b')).toHaveLength(1)
  })

  it('gives several new names, and shows them before', async () => {
    const set = await three()
    const target = await newDirectory()
    const words = ['--rename', 'tele_a=a=b', '--rename', 'plant=works']
    const command = ['restore', ...target.flags, ...words, set]
    const { stdout } = await snap(...command, '--dry-run')
    expect(stdout).toContain('\n  shard 1 tele_a/autogen -> a=b/autogen\n')
    expect(stdout).toContain('\n  shard 2 tele_b/autogen\n')
    expect(await isThere(target.root)).toBe(false)
    const { document } = await expectCode(0, ...command)
    expect(document.databases).toEqual([
      { from: 'tele_a', to: 'a=b' },
      { from: 'tele_b', to: 'tele_b' },
      { from: 'plant', to: 'works' },
    ])
    expect(document.shards[0]).toMatchObject({ newDatabase: 'a=b', newRetentionPolicy: 'autogen' })
    const points = ['a=b/autogen m 1', 'tele_b/autogen m 2', 'works/autogen m 3']
    expect(await pointsOnDisk(target)).toEqual(points)
  })

  it.each([
    [['--rename', 'tele_a=plant'], '--rename: tele_a and plant both become plant'],
    [['--rename', 'tele_c=x'], '--rename tele_c=x: tele_c is not restored'],
    [['--rename', 'plant'], '--rename: expected from=to, got "plant"'],
    [['--rename', 'plant=a/b'], '--rename: expected a name that a directory can have, got "a/b"'],
    [['--rename', 'plant=a', '--rename', 'plant=b'], '--rename gives plant two names'],
    [['--rename', 'plant=a', '--newdb', 'b'], '--newdb cannot be used with --rename'],
    [['--rp-duration', '5m'], '--rp-duration: expected 1h to 106751d, or inf, got 5m'],
  ])('refuses %j', async (words, message) => {
    const target = await newDirectory()
    const { error } = await expectCode(2, 'restore', ...target.flags, ...words, await three())
    expect(error?.message).toBe(message)
  })
})

describe('snap restore of some points', () => {
  const cpu = pointsIn().filter((line) => line.includes('cpu'))

  it('restores a measurement, a tag and a time, exactly', async () => {
    const set = await backedUp()
    expect(await restored(set, '--measurement', 'cpu')).toEqual(cpu)
    const ofA = cpu.filter((line) => line.includes('host=a'))
    expect(await restored(set, '--tag', 'host=a')).toEqual(ofA)
    const start = '1970-01-01T00:00:00.000000003Z'
    const some = await restored(set, '--db', 'telegraf', '--start', start, '--end', start)
    expect(some).toEqual(pointsIn().filter((line) => /^telegraf.* 3$/.test(line)))
  })

  it('makes no shards outside the times', async () => {
    const target = await newDirectory()
    const words = ['--db', 'telegraf', '--start', '1970-01-01T01:00:00Z']
    await expectCode(0, 'restore', ...target.flags, ...words, await backedUp())
    expect((await metastoreOf(target)).shards).toEqual(['telegraf/autogen/1'])
    const late = pointsIn().filter((line) => Number(line.split(' ').at(-1)) >= HOUR)
    expect(await pointsOnDisk(target)).toEqual(late)
  })

  it.each([
    [['--measurement', 'nothing'], /has no points of this selection$/],
    [['--start', '2001-01-01T00:00:00Z'], /holds nothing of this selection$/],
  ])('changes nothing where %j is nothing', async (words, message) => {
    const target = await newDirectory()
    const { error } = await expectCode(16, 'restore', ...target.flags, ...words, await backedUp())
    expect(error?.message).toMatch(message)
    expect(await isThere(target.root)).toBe(false)
  })
})

const policiesOf = (data: Data) => data.databases.flatMap((each) => each.retentionPolicies)

describe('snap restore of policies', () => {
  it('keeps what the policy would drop, and says how to set it back', async () => {
    const target = await newDirectory()
    const words = ['--db', 'telegraf', '--newdb', 'new', '--rp-duration', 'inf']
    const command = ['restore', ...target.flags, ...words, await backedUp()]
    const { document } = await expectCode(0, ...command, '--dry-run')
    const statement = 'ALTER RETENTION POLICY "short" ON "new" DURATION 1h'
    const short = { database: 'new', retentionPolicy: 'short', was: '1h', is: 'INF', statement }
    expect(document).toMatchObject({ expiring: [], durations: [short] })
    const { stdout } = await snap(...command)
    expect(stdout).toContain(
      `\n  policy new.short keeps points INF, in the backup 1h; to set it back: ${statement}\n`,
    )
    const data = await readMetastore(target)
    const policies = findDatabase(data, 'new')?.retentionPolicies
    expect(policies?.map(({ name, duration }) => [name, duration])).toEqual([
      ['autogen', 0n],
      ['short', 0n],
    ])
  })

  it('refuses what is shorter than the shards of a policy', async () => {
    const target = await newTarget()
    const source = await makeDirectory()
    await changeMetastore(source, (data) => {
      for (const policy of policiesOf(data)) policy.shardGroupDuration = 24n * BigInt(HOUR)
    })
    await expectCode(0, 'backup', ...source.flags, target)
    const fresh = await newDirectory()
    const { error } = await expectCode(2, 'restore', ...fresh.flags, '--rp-duration', '2h', target)
    expect(error?.message).toBe('--rp-duration 2h is shorter than the shards of policy autogen, 1d')
  })

  it('leaves subscriptions in the set unless they are asked for', async () => {
    const target = await newTarget()
    const source = await makeDirectory()
    await changeMetastore(source, (data) => {
      const info = { name: 's', mode: 'ALL', destinations: ['udp://127.0.0.1:9'] }
      for (const policy of policiesOf(data))
        policy.subscriptions = [create(SubscriptionInfoSchema, info)]
    })
    await expectCode(0, 'backup', ...source.flags, target)
    const [without, within] = [await newDirectory(), await newDirectory()]
    const words = ['--db', 'two words', target]
    const { document } = await expectCode(0, 'restore', ...without.flags, ...words)
    expect(document.subscriptions).toEqual([
      { database: 'two words', retentionPolicy: 'autogen', name: 's' },
    ])
    await expectCode(0, 'restore', ...within.flags, '--subscriptions', ...words)
    const counts = [without, within].map(async (directory) => {
      const data = await readMetastore(directory)
      return data.databases[0]?.retentionPolicies[0]?.subscriptions.length
    })
    expect(await Promise.all(counts)).toEqual([0, 1])
  })
})
