import { measurementOf, seriesOf } from '../tsm/series-key.ts'
import { FieldCounts } from './field-counts.ts'
import type { ShardName } from './inspect.ts'
import { addCounts, type KeyComparison, NO_POINTS, type PointCounts } from './restore-compare.ts'

/** A measurement of a shard that is not as in the backup. */
export interface ShardDifference extends ShardName, PointCounts {
  readonly measurement: string
}

/** Adds up comparisons of shards by measurement, and the points that a server should count. */
export class DrillTally {
  /** What a server should count. */
  readonly counts = new FieldCounts()

  /** Takes the comparison of a shard, and returns its points and its measurements that differ. */
  async add(
    shard: ShardName,
    comparison: AsyncIterable<KeyComparison>,
  ): Promise<{ readonly points: number; readonly differences: readonly ShardDifference[] }> {
    const measurements = new Map<string, PointCounts>()
    let points = 0
    for await (const key of comparison) {
      const { type, expected } = key
      points += expected
      if (expected > 0) this.counts.add(shard, key.key, { type, points: expected })
      if (key.missing + key.extra + key.different === 0) continue
      const name = Buffer.from(measurementOf(seriesOf(key.key))).toString()
      measurements.set(name, addCounts(measurements.get(name) ?? NO_POINTS, key))
    }
    const differences = [...measurements].map(([measurement, counts]) => {
      const { database, retentionPolicy, shardId } = shard
      const { expected, got, missing, extra, different } = counts
      const name = { database, retentionPolicy, shardId, measurement }
      return { ...name, expected, got, missing, extra, different }
    })
    return { points, differences }
  }
}
