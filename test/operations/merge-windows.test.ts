import { describe, expect, it } from 'vitest'
import { type ListedShard, listShards } from '../../src/meta/index.ts'
import { cutAtGroups } from '../../src/operations/merge-windows.ts'
import { dataOf } from '../helpers/data-directory.ts'

/** Shards with the times of their groups: [id, start, end, truncated]. */
function live(...groups: readonly (readonly [number, number, number, number?])[]): ListedShard[] {
  const [template] = listShards(dataOf({ d: { p: { shards: [{ id: 1, hour: 0 }] } } }))
  if (template === undefined) throw new Error('no shard')
  return groups.map(([id, start, end, truncated = 0]) => ({
    ...template,
    group: {
      ...template.group,
      ...{ startTime: BigInt(start), endTime: BigInt(end), truncatedAt: BigInt(truncated) },
    },
    shard: { ...template.shard, id: BigInt(id) },
  }))
}

function windows(start: number, end: number, shards: readonly ListedShard[]): string[] {
  const range = { start: BigInt(start), end: BigInt(end) }
  return cutAtGroups(range, shards).map(
    (window) => `${window.start}-${window.end}:${window.live?.shard.id ?? ''}`,
  )
}

describe('a range cut at live groups', () => {
  it('is one window where one group covers it, or none', () => {
    expect(windows(10, 19, live([1, 0, 100]))).toEqual(['10-19:1'])
    expect(windows(10, 19, [])).toEqual(['10-19:'])
    expect(windows(10, 19, live([1, 0, 10], [2, 20, 30]))).toEqual(['10-19:'])
  })

  it('is cut where groups end and begin, and where there is none', () => {
    expect(windows(0, 99, live([2, 50, 70], [1, 10, 50]))).toEqual([
      '0-9:',
      '10-49:1',
      '50-69:2',
      '70-99:',
    ])
  })

  it('gives points of overlapping groups to the one that ends first', () => {
    expect(windows(0, 99, live([1, 0, 100], [2, 40, 60]))).toEqual(['0-39:1', '40-59:2', '60-99:1'])
    expect(windows(0, 59, live([1, 20, 60], [2, 0, 60]))).toEqual(['0-59:2'])
  })

  it('takes a first group whose beginning wraps as one that begins with the first time', () => {
    const wrapped = live([1, 100, -50], [2, -50, 0])
    expect(windows(-90, -20, wrapped)).toEqual(['-90--51:1', '-50--20:2'])
  })

  it('gives a truncated group nothing behind its cut', () => {
    expect(windows(0, 99, live([1, 0, 100, 30]))).toEqual(['0-29:1', '30-99:'])
  })
})
