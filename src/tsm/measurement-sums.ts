import { SnapError } from '../errors.ts'
import { type Fingerprint, PointSum } from './fingerprint.ts'
import type { FieldType } from './format.ts'
import { measurementOf, seriesOf } from './series-key.ts'
import { type Block, MAX_TIME, MIN_TIME, type TimeRange } from './values.ts'

/** What some points are in numbers. */
export interface PointTotals {
  /** Series with a point. */
  readonly series: number
  /** Fields of series with a point. */
  readonly keys: number
  /** Values: one for each key and time. */
  readonly points: number
  /** First and last time; undefined without points. */
  readonly range: TimeRange | undefined
  readonly fingerprint: Fingerprint
}

/** The points of one measurement. */
export interface MeasurementTotals extends PointTotals {
  /** Its name, unescaped. */
  readonly measurement: Uint8Array
}

/** The points of a shard. */
export interface ShardTotals {
  readonly all: PointTotals
  /** Those with points, in the order of the bytes of their names. */
  readonly measurements: readonly MeasurementTotals[]
  /** The points of all further measurements. */
  readonly others: PointTotals | undefined
}

/** Measurements of a shard that have totals of their own: those whose names come first. */
export const MAX_MEASUREMENTS = 10_000

// points of one measurement
class Sums {
  readonly points = new PointSum()
  series = 0
  keys = 0
  minTime = MAX_TIME
  maxTime = MIN_TIME

  forgetCounts(): void {
    this.series = 0
    this.keys = 0
    this.minTime = MAX_TIME
    this.maxTime = MIN_TIME
  }

  cover({ minTime, maxTime }: TimeRange): void {
    if (minTime < this.minTime) this.minTime = minTime
    if (maxTime > this.maxTime) this.maxTime = maxTime
  }

  join(other: PointTotals): void {
    this.points.join(other)
    this.series += other.series
    this.keys += other.keys
    if (other.range !== undefined) this.cover(other.range)
  }

  totals(): PointTotals {
    const { series, keys, minTime, maxTime } = this
    const { points, fingerprint } = this.points
    const range = minTime > maxTime ? undefined : { minTime, maxTime }
    return { series, keys, points, range, fingerprint }
  }
}

interface CurrentSeries {
  readonly key: Uint8Array
  readonly sums: Sums
  counted: boolean
}

interface CurrentKey {
  readonly key: Uint8Array
  readonly type: FieldType
  readonly series: CurrentSeries
  counted: boolean
  /** True once the sums know the key: most keys are walked by without adding anything. */
  begun: boolean
}

/**
 * Adds up the points of a shard by measurement, key by key. The keys of a series come one after the other. Memory is that of
 * twice {@link MAX_MEASUREMENTS} sums at the most.
 */
export class MeasurementSums {
  // names as latin1: a character is a byte, and their order is that of the bytes
  readonly #byName = new Map<string, Sums>()
  readonly #others = new Sums()
  /** Names from here on are among the others. */
  #othersFrom: string | undefined
  #series: CurrentSeries | undefined
  #key: CurrentKey | undefined

  /** Says to which key the points belong that come next. */
  begin(key: Uint8Array, type: FieldType): void {
    const series = seriesOf(key)
    if (this.#series === undefined || Buffer.compare(this.#series.key, series) !== 0) {
      const sums = this.#sumsOf(measurementOf(series))
      this.#series = { key: series, sums, counted: false }
    }
    this.#key = { key, type, series: this.#series, counted: false, begun: false }
  }

  /** Counts the key that was begun last among those with points, which are in these times. */
  cover(range: TimeRange): void {
    const key = this.#current()
    const { series } = key
    if (!key.counted) series.sums.keys++
    if (!series.counted) series.sums.series++
    key.counted = true
    series.counted = true
    series.sums.cover(range)
  }

  /** Adds points of the key that was begun last; {@link cover} is told of their times. */
  add(block: Block): void {
    this.#points().add(block)
  }

  /** Adds the points of an encoded block if it is an ordinary one, see {@link PointSum.addEncoded}. */
  addEncoded(bytes: Uint8Array, times: TimeRange): boolean {
    return this.#points().addEncoded(bytes, times)
  }

  /** Takes away points of the key that was begun last. */
  remove(block: Block): void {
    this.#points().remove(block)
  }

  /** Adds what others have added up, of other points. A series that is in both is counted twice. */
  join({ measurements, others }: ShardTotals): void {
    for (const totals of measurements) this.#sumsOf(totals.measurement).join(totals)
    if (others === undefined) return
    this.#others.join(others)
    const last = measurements.at(-1)?.measurement ?? new Uint8Array()
    const from = `${nameOf(last)}\0`
    if (this.#othersFrom === undefined || from < this.#othersFrom) this.#othersFrom = from
  }

  /** Forgets the counts of series and keys, and the times: they will be told again. */
  recount(): void {
    this.#series = undefined
    this.#key = undefined
    this.#others.forgetCounts()
    for (const sums of this.#byName.values()) sums.forgetCounts()
  }

  /** Returns what was added up so far. */
  totals(): ShardTotals {
    this.#trim(MAX_MEASUREMENTS)
    const all = new Sums()
    all.join(this.#others.totals())
    for (const sums of this.#byName.values()) all.join(sums.totals())
    const measurements = [...this.#byName]
      .filter(([, sums]) => sums.keys > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, sums]) => ({ measurement: bytesOf(name), ...sums.totals() }))
    const others = this.#othersFrom === undefined ? undefined : this.#others.totals()
    return { all: all.totals(), measurements, others }
  }

  #current(): CurrentKey {
    if (this.#key !== undefined) return this.#key
    throw new SnapError('E_FAILED', 'points were added before any key was begun')
  }

  #points(): PointSum {
    const current = this.#current()
    const { points } = current.series.sums
    if (!current.begun) points.begin(current.key, current.type)
    current.begun = true
    return points
  }

  #sumsOf(measurement: Uint8Array): Sums {
    const name = nameOf(measurement)
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    if (this.#othersFrom !== undefined && name >= this.#othersFrom) return this.#others
    this.#byName.set(name, new Sums())
    if (this.#byName.size > 2 * MAX_MEASUREMENTS) this.#trim(MAX_MEASUREMENTS)
    return this.#byName.get(name) ?? this.#others
  }

  /** Moves all but the first `limit` names to the others: which they are does not depend on the order they came in. */
  #trim(limit: number): void {
    const late = [...this.#byName.keys()].sort().slice(limit)
    for (const name of late) {
      const sums = this.#byName.get(name)
      if (sums !== undefined) this.#others.join(sums.totals())
      this.#byName.delete(name)
    }
    this.#othersFrom = late[0] ?? this.#othersFrom
  }
}

/** Returns a name as latin1: a character is a byte. */
function nameOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}

function bytesOf(name: string): Uint8Array {
  // Of its own: a small Buffer is a view of memory that it has in common with others.
  return Uint8Array.from(Buffer.from(name, 'latin1'))
}
