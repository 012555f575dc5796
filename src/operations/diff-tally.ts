import { hash } from 'node:crypto'
import type { PolicyName } from '../formats/points.ts'
import { measurementOf, seriesOf } from '../tsm/series-key.ts'
import type { KeyComparison } from './restore-compare.ts'
import { BOTH, LEFT, RIGHT, SeriesSides } from './series-sides.ts'

/** What became of the points of one measurement of one policy between two sides. */
export interface MeasurementDifference extends PolicyName {
  /** Bytes that are no UTF-8 stand as U+FFFD. */
  readonly measurement: string
  /** Points of both sides with the same value. */
  readonly equal: number
  /** Points of the second side only, and of the first side only. */
  readonly added: number
  readonly removed: number
  /** Points of both sides with other values. */
  readonly changed: number
  /** Series with points on the second side only, and on the first side only; null if there are too many to tell. */
  readonly seriesAdded: number | null
  readonly seriesRemoved: number | null
}

/** Series that are told apart in all. */
const MAX_SERIES = 2_000_000

interface Counts {
  equal: number
  added: number
  removed: number
  changed: number
  /** Series that, for all that is known by now, are on one side only. */
  seriesAdded: number
  seriesRemoved: number
}

interface Policy {
  readonly name: PolicyName
  /** By the bytes of their names as latin1 text. */
  readonly measurements: Map<string, Counts>
  /** The sides of each series, by the hash of its key. Undefined once there are too many. */
  series: SeriesSides | undefined
}

/** Adds up what compared shards have in common and not, by policy and measurement. */
export class DiffTally {
  readonly #policies = new Map<string, Policy>()
  readonly #maxSeries: number
  #series = 0

  constructor({ maxSeries = MAX_SERIES }: { readonly maxSeries?: number } = {}) {
    this.#maxSeries = maxSeries
  }

  /** Takes the comparison of one key: `expected` is the first side. */
  add(name: PolicyName, comparison: KeyComparison): void {
    const { key, expected, got, missing, extra, different } = comparison
    if (expected + got === 0) return
    const policy = this.#policyOf(name)
    const series = seriesOf(key)
    const measurement = latin1(measurementOf(series))
    const counts = countsOf(policy, measurement)
    counts.equal += expected - missing - different
    counts.added += extra
    counts.removed += missing
    counts.changed += different
    const sides = (expected > 0 ? LEFT : 0) | (got > 0 ? RIGHT : 0)
    this.#see(policy, counts, { series, sides })
  }

  /** Takes points that are known to be the same on both sides; of their series {@link DiffTally.addSeries} tells. */
  addEqual(name: PolicyName, measurement: Uint8Array, points: number): void {
    countsOf(this.#policyOf(name), latin1(measurement)).equal += points
  }

  /** Tells that both sides have points of the series of a key. */
  addSeries(name: PolicyName, key: Uint8Array): void {
    const series = seriesOf(key)
    const policy = this.#policyOf(name)
    const counts = countsOf(policy, latin1(measurementOf(series)))
    this.#see(policy, counts, { series, sides: BOTH })
  }

  /** True if, for all that is known by now, the series of the key is on one side only. */
  isOneSided(name: PolicyName, key: Uint8Array): boolean {
    const sides = this.#policyOf(name).series?.get(hashOf(seriesOf(key)))
    return sides === LEFT || sides === RIGHT
  }

  /** True if some series of the policy is, for all that is known by now, on one side only. */
  hasOneSided(name: PolicyName): boolean {
    const { series, measurements } = this.#policyOf(name)
    if (series === undefined) return false
    for (const { seriesAdded, seriesRemoved } of measurements.values())
      if (seriesAdded + seriesRemoved > 0) return true
    return false
  }

  /** Returns all measurements with points, in the order of their policies and names. */
  measurements(): MeasurementDifference[] {
    const policies = [...this.#policies.values()]
    return policies.flatMap(measurementsOf).sort(byName)
  }

  #policyOf(name: PolicyName): Policy {
    const id = JSON.stringify([name.database, name.retentionPolicy])
    const { database, retentionPolicy } = name
    const policy: Policy = this.#policies.get(id) ?? {
      name: { database, retentionPolicy },
      measurements: new Map(),
      series: new SeriesSides(),
    }
    this.#policies.set(id, policy)
    return policy
  }

  #see(
    policy: Policy,
    counts: Counts,
    seen: { readonly series: Uint8Array; readonly sides: number },
  ): void {
    const { series } = policy
    if (series === undefined) return
    const id = hashOf(seen.series)
    const before = series.get(id)
    if (before === 0 && this.#series >= this.#maxSeries) {
      policy.series = undefined
      this.#series -= series.size
      return
    }
    const after = series.add(id, seen.sides)
    if (before === 0) this.#series++
    counts.seriesAdded += count(after === RIGHT) - count(before === RIGHT)
    counts.seriesRemoved += count(after === LEFT) - count(before === LEFT)
  }
}

function count(is: boolean): number {
  return is ? 1 : 0
}

function countsOf({ measurements }: Policy, measurement: string): Counts {
  const counts = measurements.get(measurement) ?? {
    ...{ equal: 0, added: 0, removed: 0, changed: 0, seriesAdded: 0, seriesRemoved: 0 },
  }
  measurements.set(measurement, counts)
  return counts
}

function measurementsOf({ name, measurements, series }: Policy): MeasurementDifference[] {
  const unknown = series === undefined ? { seriesAdded: null, seriesRemoved: null } : {}
  return [...measurements].map(([measurement, counts]) => ({
    ...name,
    measurement: Buffer.from(measurement, 'latin1').toString(),
    ...counts,
    ...unknown,
  }))
}

function byName(a: MeasurementDifference, b: MeasurementDifference): number {
  const [left, right] = [a, b].map(({ database, retentionPolicy, measurement }) =>
    JSON.stringify([database, retentionPolicy, measurement]),
  )
  return left === right ? 0 : (left ?? '') < (right ?? '') ? -1 : 1
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** 53 bits of SHA-1: among a million series two share one with a chance of one in 18,000. */
function hashOf(series: Uint8Array): number {
  const digest = hash('sha1', series, 'buffer')
  return digest.readUIntBE(0, 6) * 32 + ((digest[6] ?? 0) % 32)
}
