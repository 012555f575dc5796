import { parseCompositeKey, parseSeriesKey, type Tag } from '../tsm/series-key.ts'
import type { Block, FieldType } from '../tsm/values.ts'

/** All points of one field of one series, as the merged files of a shard give them. */
export interface FieldPoints {
  /** The composite key of TSM: series key, `#!~#`, field. */
  readonly key: Uint8Array
  readonly type: FieldType
  /** In ascending order of time. Read once. */
  readonly blocks: AsyncIterable<Block>
}

/** A retention policy to be exported. */
export interface PolicyName {
  readonly database: string
  readonly retentionPolicy: string
}

/** All points of one series. */
export interface SeriesPoints {
  /** The measurement's bytes as latin1 text, a character for each: a key for maps. */
  readonly measurement: string
  readonly tags: readonly Tag[]
  /** In the order of their names. To be read together: blocks of one may be read while others wait. */
  readonly fields: readonly SeriesField[]
}

/** One field of a series. */
export interface SeriesField extends Pick<FieldPoints, 'type' | 'blocks'> {
  /** The name's bytes as latin1 text. */
  readonly name: string
}

/** Returns bytes as text with a character for each, which tells all byte strings apart. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/**
 * Puts the fields of each series together. They follow each other, because no key sorts between two that begin with the
 * same series key and separator.
 * @throws SnapError `E_FORMAT` if a key is not a composite key
 */
export async function* groupBySeries(
  points: AsyncIterable<FieldPoints>,
): AsyncGenerator<SeriesPoints, void, undefined> {
  let current: Uint8Array | undefined
  let fields: SeriesField[] = []
  for await (const { key, type, blocks } of points) {
    const { seriesKey, field } = parseCompositeKey(key)
    if (current !== undefined && Buffer.compare(current, seriesKey) !== 0) {
      yield seriesOf(current, fields)
      fields = []
    }
    current = Uint8Array.from(seriesKey)
    fields.push({ name: latin1(field), type, blocks })
  }
  if (current !== undefined) yield seriesOf(current, fields)
}

function seriesOf(seriesKey: Uint8Array, fields: readonly SeriesField[]): SeriesPoints {
  const { measurement, tags } = parseSeriesKey(seriesKey)
  return { measurement: latin1(measurement), tags, fields }
}
