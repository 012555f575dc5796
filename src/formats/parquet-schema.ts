import { parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'
import type { FieldType } from '../tsm/values.ts'
import { latin1 } from './points.ts'

/** The column of a tag. */
export interface TagColumn {
  /** The name in the file, not taken by another column. */
  readonly name: string
  /** The tag's key, its bytes as latin1 text. */
  readonly key: string
}

/** The column of a field of one type. */
export interface FieldColumn {
  /** The name in the file, not taken by another column. */
  readonly name: string
  /** The field's name, its bytes as latin1 text. */
  readonly field: string
  readonly type: FieldType
}

/** The columns of a measurement beside `time`. */
export interface MeasurementSchema {
  /** The measurement's name, its bytes as latin1 text. */
  readonly measurement: string
  readonly tags: readonly TagColumn[]
  readonly fields: readonly FieldColumn[]
}

interface Found {
  readonly tags: Set<string>
  readonly fields: Map<string, Set<FieldType>>
}

/** Learns from keys which columns the measurements have: a Parquet file says so before its first row is known to be the last. */
export class SchemaCollector {
  readonly #found = new Map<string, Found>()

  /**
   * Takes note of a key; any order, any number of times.
   * @param key a composite key
   * @throws SnapError `E_FORMAT` if it is none
   */
  add(key: Uint8Array, type: FieldType): void {
    const { seriesKey, field } = parseCompositeKey(key)
    const { measurement, tags } = parseSeriesKey(seriesKey)
    const id = latin1(measurement)
    const found = this.#found.get(id) ?? { tags: new Set(), fields: new Map() }
    this.#found.set(id, found)
    for (const tag of tags) found.tags.add(latin1(tag.key))
    const name = latin1(field)
    const types = found.fields.get(name) ?? new Set()
    found.fields.set(name, types.add(type))
  }

  /** Returns the columns of every measurement seen, tags before fields, each in the order of their names. */
  schemas(): Map<string, MeasurementSchema> {
    const ids = [...this.#found.keys()].sort()
    return new Map(ids.map((id) => [id, schemaOf(id, this.#found.get(id))]))
  }
}

function schemaOf(measurement: string, found: Found | undefined): MeasurementSchema {
  // Case does not tell columns apart in SQL.
  const taken = new Set(['time'])
  const tags = [...(found?.tags ?? [])].sort().map((key) => ({ key, name: freeName(key, taken) }))
  const fields = [...(found?.fields ?? [])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([field, types]) =>
      [...types].sort().map((type) => {
        const wanted = types.size === 1 ? field : `${field}_${type}`
        return { field, type, name: freeName(wanted, taken) }
      }),
    )
  return { measurement, tags, fields }
}

function freeName(bytes: string, taken: Set<string>): string {
  const wanted = Buffer.from(bytes, 'latin1').toString()
  let name = wanted
  for (let i = 1; taken.has(name.toLowerCase()); i += 1) name = `${wanted}_${i}`
  taken.add(name.toLowerCase())
  return name
}
