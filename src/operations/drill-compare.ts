import type { FieldType } from '../tsm/format.ts'
import { parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'
import type { ShardName } from './inspect.ts'
import { addCounts, type KeyComparison, NO_POINTS, type PointCounts } from './restore-compare.ts'

/** A measurement of a shard that is not as in the backup. */
export interface ShardDifference extends ShardName, PointCounts {
  readonly measurement: string
}

/** The points that a field of a measurement should have, over all shards of a policy. */
export interface FieldCount {
  readonly database: string
  readonly retentionPolicy: string
  readonly measurement: string
  readonly field: string
  points: number
  /** Shards may disagree on it. */
  readonly types: Set<FieldType>
}

/** Adds up comparisons of shards by measurement, and the points that a server should count. */
export class DrillTally {
  readonly #fields = new Map<string, FieldCount>()
  /** Names that are no UTF-8: no query can name them. */
  #unnamed = 0

  /** What should be counted, measurement by measurement. */
  get fields(): readonly FieldCount[] {
    return [...this.#fields.values()]
  }

  /** Fields of measurements that cannot be asked for. */
  get unnamed(): number {
    return this.#unnamed
  }

  /** Takes the comparison of a shard, and returns its points and its measurements that differ. */
  async add(
    shard: ShardName,
    comparison: AsyncIterable<KeyComparison>,
  ): Promise<{ readonly points: number; readonly differences: readonly ShardDifference[] }> {
    const measurements = new Map<string, PointCounts>()
    let points = 0
    for await (const key of comparison) {
      const { seriesKey, field } = parseCompositeKey(key.key)
      const measurement = Buffer.from(parseSeriesKey(seriesKey).measurement)
      points += key.expected
      if (key.expected > 0) this.#count(shard, { measurement, field: Buffer.from(field), key })
      if (key.missing + key.extra + key.different === 0) continue
      const name = measurement.toString()
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

  #count(
    { database, retentionPolicy }: ShardName,
    found: { readonly measurement: Buffer; readonly field: Buffer; readonly key: KeyComparison },
  ): void {
    const [measurement, field] = [found.measurement.toString(), found.field.toString()]
    const isNamed =
      Buffer.from(measurement).equals(found.measurement) && Buffer.from(field).equals(found.field)
    if (!isNamed) {
      this.#unnamed++
      return
    }
    const id = JSON.stringify([database, retentionPolicy, measurement, field])
    const count = this.#fields.get(id) ?? {
      ...{ database, retentionPolicy, measurement, field },
      ...{ points: 0, types: new Set<FieldType>() },
    }
    count.points += found.key.expected
    count.types.add(found.key.type)
    this.#fields.set(id, count)
  }
}
