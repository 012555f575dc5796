import { describe, expect, it } from 'vitest'
import {
  encodeData,
  findDatabase,
  findRetentionPolicy,
  listShards,
  minimalData,
} from '../../src/meta/index.ts'
import { sampleData } from './samples.ts'

const DB = 'tele.graf db'

describe('findDatabase and findRetentionPolicy', () => {
  it('find by exact name, an empty policy name is the default', () => {
    const database = findDatabase(sampleData(), DB)
    if (database === undefined) throw new Error('the sample lost its database')
    expect(findDatabase(sampleData(), 'tele')).toBeUndefined()
    expect(findRetentionPolicy(database, 'ünï')?.replicaN).toBe(2)
    expect(findRetentionPolicy(database, '')?.name).toBe('autogen')
    expect(findRetentionPolicy(database, 'no')).toBeUndefined()
    database.defaultRetentionPolicy = ''
    expect(findRetentionPolicy(database, '')).toBeUndefined()
  })
})

describe('listShards', () => {
  it('leaves deleted groups out unless asked', () => {
    const shown = listShards(sampleData()).map(({ shard }) => shard.id)
    expect(shown).toEqual([1n, 10n, 11n, 0xffff_ffff_ffff_ff00n])
    const all = listShards(sampleData(), { includeDeleted: true })
    expect(all.filter(({ deleted }) => deleted).map(({ shard }) => shard.id)).toEqual([100n])
    expect(all[1]).toMatchObject({ database: DB, retentionPolicy: 'autogen', group: { id: 3n } })
  })
})

describe('minimalData', () => {
  it('keeps what was selected and no users, nodes, queries or deleted groups', () => {
    const data = minimalData(sampleData(), { database: DB, retentionPolicy: 'autogen' })
    expect(data).toMatchObject({ clusterId: sampleData().clusterId, index: 42n, users: [] })
    expect(data.metaNodes).toEqual([])
    expect(data.databases.map(({ name }) => name)).toEqual([DB])
    expect(data.databases[0]?.continuousQueries).toEqual([])
    expect(data.databases[0]?.retentionPolicies).toHaveLength(1)
    expect(listShards(data, { includeDeleted: true })).toHaveLength(3)
  })

  it('takes everything but the excluded databases, keeps queries on request', () => {
    const data = minimalData(
      sampleData(),
      { excludeDatabases: ['_internal'] },
      { continuousQueries: true },
    )
    expect(data.databases.map(({ name }) => name)).toEqual([DB])
    expect(data.databases[0]?.continuousQueries).toHaveLength(1)
    expect(minimalData(sampleData(), {}).databases).toHaveLength(2)
    const named = { database: '_internal', excludeDatabases: ['_internal'] }
    expect(minimalData(sampleData(), named).databases).toHaveLength(1)
  })

  it('keeps the groups of the selected shards', () => {
    const data = minimalData(sampleData(), { shards: new Set([11n, 100n]) })
    expect(listShards(data).map(({ shard }) => shard.id)).toEqual([10n, 11n])
  })

  it('does not touch its input', () => {
    const data = sampleData()
    minimalData(data, { database: DB, retentionPolicy: 'no' })
    expect(encodeData(data)).toEqual(encodeData(sampleData()))
  })
})
