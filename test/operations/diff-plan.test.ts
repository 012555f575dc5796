import { describe, expect, it } from 'vitest'
import { type ListedShard, listShards } from '../../src/meta/index.ts'
import { pairShards } from '../../src/operations/diff-plan.ts'
import { dataOf, HOUR } from '../helpers/data-directory.ts'

/** Shards of `d.p` by their hours: [id, first hour, hour after the last]. */
function shards(...hours: readonly (readonly [number, number, number])[]): ListedShard[] {
  const [template] = listShards(dataOf({ d: { p: { shards: [{ id: 1, hour: 0 }] } } }))
  if (template === undefined) throw new Error('no shard')
  return hours.map(([id, from, to]) => ({
    ...template,
    group: { ...template.group, startTime: BigInt(from * HOUR), endTime: BigInt(to * HOUR) },
    shard: { ...template.shard, id: BigInt(id) },
  }))
}

function ids(left: readonly ListedShard[], right: readonly ListedShard[]): string[] {
  const of = (list: readonly ListedShard[]) => list.map(({ shard }) => shard.id).join(',')
  return pairShards(left, right).map((pair) => `${of(pair.left)}|${of(pair.right)}`)
}

describe('pairs of shards', () => {
  it('are those of the same time, whatever their ids and order', () => {
    const left = shards([2, 1, 2], [1, 0, 1])
    expect(ids(left, shards([7, 0, 1], [8, 1, 2]))).toEqual(['1|7', '2|8'])
  })

  it('stand alone where the other side has nothing', () => {
    expect(ids(shards([1, 0, 1]), shards([2, 1, 2]))).toEqual(['1|', '|2'])
  })

  it('are several to one where durations differ', () => {
    const hours = shards([1, 0, 1], [2, 1, 2], [3, 2, 3], [4, 3, 4])
    expect(ids(hours, shards([9, 0, 2], [8, 2, 4]))).toEqual(['1,2|9', '3,4|8'])
    expect(ids(hours, shards([9, 1, 3]))).toEqual(['1|', '2,3|9', '4|'])
  })

  it('hang together through what overlaps both', () => {
    expect(ids(shards([1, 0, 2], [2, 3, 5]), shards([9, 1, 4]))).toEqual(['1,2|9'])
  })

  it('are never of two policies', () => {
    const other = shards([1, 0, 1]).map((shard) => ({ ...shard, retentionPolicy: 'q' }))
    expect(ids(shards([1, 0, 1]), other)).toEqual(['1|', '|1'])
  })
})
