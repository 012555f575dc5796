import { create } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import type { Data } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import { checkSelection, selectDatabases, selectShards } from '../../src/operations/selection.ts'

const group = (id: bigint, shardId: bigint, deletedAt = 0n) => ({
  id,
  startTime: 0n,
  endTime: 10n,
  deletedAt,
  shards: [{ id: shardId }],
})
const policy = (name: string, shardGroups: ReturnType<typeof group>[]) => ({
  name,
  duration: 0n,
  shardGroupDuration: 10n,
  replicaN: 1,
  shardGroups,
})
const store: Data = create(DataSchema, {
  databases: [
    {
      name: '_internal',
      defaultRetentionPolicy: 'monitor',
      retentionPolicies: [policy('monitor', [group(1n, 1n)])],
    },
    {
      name: 'a',
      defaultRetentionPolicy: 'autogen',
      retentionPolicies: [
        policy('autogen', [group(2n, 2n), group(3n, 3n, 5n)]),
        policy('week', [group(4n, 4n)]),
      ],
    },
    { name: 'b c', defaultRetentionPolicy: '', retentionPolicies: [policy('week', [])] },
  ],
})
const ids = (selection: Parameters<typeof selectShards>[1]) =>
  selectShards(store, selection).map(({ shard }) => shard.id)

describe('selection', () => {
  it('leaves out _internal and deleted groups unless told otherwise', () => {
    expect(selectDatabases(store, {})).toEqual(['a', 'b c'])
    expect(ids({})).toEqual([2n, 4n])
    expect(ids({ excludeDatabases: [] })).toEqual([1n, 2n, 4n])
    expect(ids({ databases: ['_internal'] })).toEqual([1n])
  })

  it('narrows by policy and shard; an empty list is everything', () => {
    expect(ids({ retentionPolicy: 'week' })).toEqual([4n])
    expect(ids({ shards: [2n] })).toEqual([2n])
    expect(ids({ databases: [], shards: [] })).toEqual([2n, 4n])
  })

  it('accepts a selection that is there', () => {
    const selection = { databases: ['a'], retentionPolicy: 'week', shards: [4n] }
    expect(() => checkSelection(store, selection, 'host')).not.toThrow()
    expect(() => checkSelection(store, { retentionPolicy: 'week' }, 'host')).not.toThrow()
  })

  it.each([
    [{ databases: ['x'] }, 'database "x" is not in host', 'there are: _internal, a, b c'],
    [
      { databases: ['b c'], retentionPolicy: 'autogen' },
      'no retention policy "autogen"',
      'there are: week',
    ],
    [{ retentionPolicy: 'nope' }, 'no database in host', 'there are: autogen, week'],
    [{ shards: [3n] }, 'shard 3 is not in host', 'there are: 1, 2, 4'],
  ])('refuses %o', (selection, message, hint) => {
    expect(() => checkSelection(store, selection, 'host')).toThrow(
      expect.objectContaining({
        code: 'E_NOTHING_MATCHED',
        message: expect.stringContaining(message),
        hint,
      }),
    )
  })

  it('says that a store is empty', () => {
    expect(() => checkSelection(create(DataSchema, {}), { shards: [1n] }, 'host')).toThrow(
      expect.objectContaining({ hint: 'there are none' }),
    )
  })
})
