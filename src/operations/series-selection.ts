import { measurementOf, parseSeriesKey, seriesOf } from '../tsm/series-key.ts'

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
  const wishes = [...new Set(tags.map(({ key }) => key))].map((wanted) => ({
    key: Buffer.from(wanted),
    values: tags.filter(({ key }) => key === wanted).map(({ value }) => Buffer.from(value)),
  }))
  return (key) => {
    const series = seriesOf(key)
    const measurement = measurementOf(series)
    if (names.length > 0 && !names.some((name) => name.equals(measurement))) return false
    if (wishes.length === 0) return true
    const found = parseSeriesKey(series).tags
    return wishes.every((wish) =>
      found.some(
        (tag) => wish.key.equals(tag.key) && wish.values.some((value) => value.equals(tag.value)),
      ),
    )
  }
}
