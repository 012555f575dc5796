import { create } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { addShardGroup, type Data, decodeData, encodeData } from '../../src/meta/index.ts'
import { ShardGroupInfoSchema } from '../../src/meta/meta_pb.gen.ts'
import { dataOf } from '../helpers/data-directory.ts'

const HOUR = 3_600_000_000_000n
const DAY = 24n * HOUR
const WEEK = 7n * DAY
const INTO = { database: 'd', retentionPolicy: 'r' }

function storeOf(shardGroupDuration: bigint, duration = 0n): Data {
  const data = dataOf({ d: { r: { shards: [] } } })
  const policy = policyOf(data)
  policy.shardGroupDuration = shardGroupDuration
  policy.duration = duration
  return data
}

function policyOf(data: Data) {
  const policy = data.databases[0]?.retentionPolicies[0]
  if (policy === undefined) throw new Error('there is no policy')
  return policy
}

function boundsAt(data: Data, time: bigint): bigint[] {
  const { startTime, endTime } = addShardGroup(data, INTO, time)
  return [startTime, endTime]
}

const nanoseconds = (date: string) => BigInt(Date.parse(date)) * 1_000_000n

describe('addShardGroup', () => {
  it('begins weeks on Mondays, as Go counts them from year 1', () => {
    const monday = nanoseconds('2023-11-13T00:00:00Z')
    expect(boundsAt(storeOf(WEEK), nanoseconds('2023-11-16T12:00:00Z'))).toEqual([
      monday,
      monday + WEEK,
    ])
    expect(boundsAt(storeOf(WEEK), monday)).toEqual([monday, monday + WEEK])
    expect(boundsAt(storeOf(WEEK), monday - 1n)).toEqual([monday - WEEK, monday])
    expect(boundsAt(storeOf(DAY), -1n)).toEqual([-DAY, 0n])
  })

  it('gives the next ids, and keeps groups in the order in which influxd looks at them', () => {
    const data = storeOf(HOUR)
    const { maxShardId, maxShardGroupId } = data
    for (const hour of [5n, 2n, 9n]) addShardGroup(data, INTO, hour * HOUR)
    const { shardGroups } = policyOf(decodeData(encodeData(data)))
    const ids = (step: bigint) => [maxShardGroupId + step, maxShardId + step]
    expect(shardGroups.map(({ id, shards }) => [id, shards[0]?.id])).toEqual([
      ids(2n),
      ids(1n),
      ids(3n),
    ])
    expect([data.maxShardGroupId, data.maxShardId]).toEqual(ids(3n))
  })

  it('cuts a group where others begin and end, not where they are deleted', () => {
    const data = storeOf(DAY)
    const group = (from: bigint, to: bigint, more: object = {}) =>
      create(ShardGroupInfoSchema, { startTime: from, endTime: to, deletedAt: 0n, ...more })
    policyOf(data).shardGroups = [
      group(DAY, DAY + 2n * HOUR),
      group(DAY + 3n * HOUR, DAY + 9n * HOUR, { truncatedAt: DAY + 4n * HOUR }),
      group(DAY + 5n * HOUR, DAY + 7n * HOUR, { deletedAt: 1n }),
      group(DAY + 20n * HOUR, 3n * DAY),
    ]
    expect(boundsAt(data, DAY + 6n * HOUR)).toEqual([DAY + 4n * HOUR, DAY + 20n * HOUR])
    expect(boundsAt(data, DAY + 2n * HOUR)).toEqual([DAY + 2n * HOUR, DAY + 3n * HOUR])
  })

  it('keeps within the times that points can have', () => {
    const [first, last] = [-(2n ** 63n) + 2n, 2n ** 63n - 2n]
    expect(boundsAt(storeOf(WEEK), first)[0]).toBe(first)
    expect(boundsAt(storeOf(WEEK), last)[1]).toBe(last + 1n)
  })

  it('takes the usual length where the policy says none', () => {
    const lengthFor = (duration: bigint) => {
      const [from = 0n, to = 0n] = boundsAt(storeOf(0n, duration), 30n * WEEK)
      return to - from
    }
    expect([0n, 180n * DAY, 2n * DAY, HOUR].map(lengthFor)).toEqual([WEEK, WEEK, DAY, HOUR])
  })

  it('needs the policy', () => {
    const nowhere = { database: 'd', retentionPolicy: 'other' }
    expect(() => addShardGroup(storeOf(DAY), nowhere, 0n)).toThrow('no policy d.other')
    expect(() => addShardGroup(storeOf(DAY), { ...nowhere, database: 'e' }, 0n)).toThrow('e.other')
  })
})
