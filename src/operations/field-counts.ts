import type { PolicyName } from '../formats/points.ts'
import type { FieldType } from '../tsm/format.ts'
import { parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'

/** The points that a field of a measurement should have, over all shards of a policy. */
export interface FieldCount extends PolicyName {
  readonly measurement: string
  readonly field: string
  points: number
  /** Shards may disagree on it. */
  readonly types: Set<FieldType>
}

/** Counts points by the fields of measurements, as queries see them. */
export class FieldCounts {
  readonly #fields = new Map<string, FieldCount>()
  #unnamed = 0

  /** Measurement by measurement. */
  get fields(): readonly FieldCount[] {
    return [...this.#fields.values()]
  }

  /** Keys whose names are no UTF-8: no query can name them. */
  get unnamed(): number {
    return this.#unnamed
  }

  /** Counts points of a composite key; a negative number takes some back. */
  add(policy: PolicyName, key: Uint8Array, counted: { type: FieldType; points: number }): void {
    const { seriesKey, field: fieldName } = parseCompositeKey(key)
    const measurement = textOf(parseSeriesKey(seriesKey).measurement)
    const field = textOf(fieldName)
    if (measurement === undefined || field === undefined) {
      this.#unnamed++
      return
    }
    const { database, retentionPolicy } = policy
    const id = JSON.stringify([database, retentionPolicy, measurement, field])
    const count = this.#fields.get(id) ?? {
      ...{ database, retentionPolicy, measurement, field },
      ...{ points: 0, types: new Set<FieldType>() },
    }
    count.points += counted.points
    count.types.add(counted.type)
    this.#fields.set(id, count)
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString()
  return Buffer.from(text).equals(bytes) ? text : undefined
}
