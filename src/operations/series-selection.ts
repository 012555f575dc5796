import { parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'

/** A tag that a series must have. */
export interface TagWish {
  readonly key: string
  readonly value: string
}

/** Which series of a shard are wanted; an empty list, or a field left out, selects all. */
export interface SeriesSelection {
  readonly measurements?: readonly string[] | undefined
  /** Of several with one key a series must have one, and one for each key. */
  readonly tags?: readonly TagWish[] | undefined
}

/** Says whether a composite key is wanted. */
export type KeepKey = (key: Uint8Array) => boolean

/** Returns the filter of a selection of series; undefined if it selects all. */
export function keepSeries({ measurements = [], tags = [] }: SeriesSelection): KeepKey | undefined {
  if (measurements.length + tags.length === 0) return undefined
  const names = measurements.map((name) => Buffer.from(name))
  const values = new Map<string, Buffer[]>()
  for (const { key, value } of tags) {
    values.set(key, [...(values.get(key) ?? []), Buffer.from(value)])
  }
  const wishes = [...values].map(([key, wanted]) => ({ key: Buffer.from(key), wanted }))
  return (key) => {
    const { seriesKey } = parseCompositeKey(key)
    const series = parseSeriesKey(seriesKey)
    if (names.length > 0 && !names.some((name) => name.equals(series.measurement))) return false
    return wishes.every(({ key: wish, wanted }) =>
      series.tags.some(
        (tag) => wish.equals(tag.key) && wanted.some((value) => value.equals(tag.value)),
      ),
    )
  }
}
