import { clone } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ImportOptions } from '../../src/meta/index.ts'
import {
  emptyData,
  encodeData,
  findDatabase,
  importData,
  listShards,
} from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import { arbitraryData, sampleData } from './samples.ts'

const DB = 'tele.graf db'

/** A store that gave out group ids to 7 and shard ids to 30. */
function target() {
  const data = emptyData()
  data.maxShardGroupId = 7n
  data.maxShardId = 30n
  return data
}

describe('importData', () => {
  it('gives groups and shards the next ids, deleted groups included', () => {
    const { data, shardIds, deletedShardIds, newDatabases } = importData(target(), sampleData(), {
      backupDatabase: DB,
    })
    expect(newDatabases).toEqual([DB])
    expect([...shardIds]).toEqual([
      [10n, 31n],
      [11n, 32n],
      [100n, 33n],
      [0xffff_ffff_ffff_ff00n, 34n],
    ])
    expect([...deletedShardIds]).toEqual([33n])
    expect(data).toMatchObject({ maxShardGroupId: 10n, maxShardId: 34n, index: 1n })
    expect(listShards(data).map(({ group, shard }) => [group.id, shard.id])).toEqual([
      [8n, 31n],
      [8n, 32n],
      [10n, 34n],
    ])
  })

  it('keeps times, durations and subscriptions, clears owners, leaves queries and users behind', () => {
    const { data } = importData(target(), sampleData(), { backupDatabase: DB })
    const [database] = data.databases
    const [policy] = database?.retentionPolicies ?? []
    expect(database?.continuousQueries).toEqual([])
    expect(data.users).toEqual([])
    expect(policy).toMatchObject({ name: 'autogen', futureWriteLimit: 5n })
    expect(policy?.subscriptions).toHaveLength(1)
    expect(policy?.shardGroups[0]?.shards[0]).toMatchObject({ owners: [], ownerIds: [] })
    expect(policy?.shardGroups[1]?.deletedAt).toBe(7n)
    expect(policy?.shardGroups[2]?.truncatedAt).toBe(604_800_000_000_001n)
  })

  it('imports everything but _internal when no database is named, ignoring other names', () => {
    const { newDatabases, data } = importData(target(), sampleData(), {
      restoreDatabase: 'x',
      backupRetentionPolicy: 'nosuch',
    })
    expect(newDatabases).toEqual([DB])
    expect(findDatabase(data, DB)?.retentionPolicies).toHaveLength(2)
  })

  it('imports _internal when it is named', () => {
    const { newDatabases } = importData(target(), sampleData(), { backupDatabase: '_internal' })
    expect(newDatabases).toEqual(['_internal'])
  })

  it.each<[ImportOptions, string, string, string]>([
    [{ restoreDatabase: 'new' }, 'new', 'autogen', 'autogen,ünï'],
    [{ backupRetentionPolicy: 'ünï' }, DB, 'ünï', 'ünï'],
    [{ backupRetentionPolicy: 'ünï', restoreRetentionPolicy: 'b' }, DB, 'b', 'b'],
    [{ restoreRetentionPolicy: 'b' }, DB, 'autogen', 'autogen,ünï'],
  ])('names what it imports as asked: %j', (options, name, defaultPolicy, policies) => {
    const { data } = importData(target(), sampleData(), { backupDatabase: DB, ...options })
    const database = findDatabase(data, name)
    expect(database?.defaultRetentionPolicy).toBe(defaultPolicy)
    expect(database?.retentionPolicies.map((policy) => policy.name).join()).toBe(policies)
  })

  it.each<[string, ImportOptions, string, RegExp]>([
    ['an unknown database', { backupDatabase: 'no' }, 'E_NOTHING_MATCHED', /no database no$/],
    [
      'an unknown policy',
      { backupDatabase: DB, backupRetentionPolicy: 'no' },
      'E_NOTHING_MATCHED',
      /no retention policy tele\.graf db\.no$/,
    ],
    [
      'a database that is there',
      { backupDatabase: DB, restoreDatabase: '_internal' },
      'E_TARGET_EXISTS',
      /database _internal already exists/,
    ],
    [
      'a name that is too long',
      { backupDatabase: DB, restoreDatabase: 'ü'.repeat(128) },
      'E_USAGE',
      /a name of 256 bytes/,
    ],
    [
      'a name that leaves its directory',
      { backupDatabase: DB, restoreDatabase: '../x' },
      'E_USAGE',
      /cannot name a directory/,
    ],
    [
      'a policy name that is no directory',
      { backupDatabase: DB, backupRetentionPolicy: 'ünï', restoreRetentionPolicy: '..' },
      'E_USAGE',
      /retention policy "\.\." cannot name a directory/,
    ],
    [
      'a name that cannot be printed',
      { backupDatabase: DB, restoreDatabase: 'a\u0001b' },
      'E_USAGE',
      /cannot name a directory/,
    ],
    [
      'a policy name that the series file has',
      { backupDatabase: DB, backupRetentionPolicy: 'ünï', restoreRetentionPolicy: '_series' },
      'E_USAGE',
      /retention policy "_series" cannot name a directory/,
    ],
  ])('refuses %s', (_what, options, code, message) => {
    const base = importData(emptyData(), sampleData(), { backupDatabase: '_internal' }).data
    const run = () => importData(base, sampleData(), options)
    expect(run).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
  })

  it('refuses the whole import if one database is there', () => {
    const base = importData(emptyData(), sampleData(), { backupDatabase: DB }).data
    expect(() => importData(base, sampleData())).toThrow(/already exists/)
  })

  it('changes neither store and hands out each id once', () => {
    const usable = arbitraryData.filter(
      ({ databases }) => new Set(databases.map(({ name }) => name)).size === databases.length,
    )
    fc.assert(
      fc.property(usable, (other) => {
        for (const [n, database] of other.databases.entries()) {
          database.name = `db${n}`
          for (const [m, policy] of database.retentionPolicies.entries()) policy.name = `rp${m}`
        }
        const base = target()
        const [before, otherBefore] = [clone(DataSchema, base), encodeData(other)]
        const { data } = importData(base, other)
        expect(base).toEqual(before)
        expect(encodeData(other)).toEqual(otherBefore)
        const ids = listShards(data, { includeDeleted: true }).map(({ shard }) => shard.id)
        expect(ids).toEqual(ids.map((_, n) => 31n + BigInt(n)))
        expect(data.maxShardId).toBe(30n + BigInt(ids.length))
      }),
      { numRuns: 60 },
    )
  })
})
