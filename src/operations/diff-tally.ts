import { hash } from 'node:crypto'
import type { PolicyName } from '../formats/points.ts'
import { measurementOf, seriesOf } from '../tsm/series-key.ts'
import type { KeyComparison } from './restore-compare.ts'

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

/** Which sides have points of a series. */
const LEFT = 1
const RIGHT = 2
const BOTH = LEFT | RIGHT

/** Series of one policy that are told apart; each takes some 50 bytes. */
const MAX_SERIES = 2_000_000

interface Counts {
  equal: number
  added: number
  removed: number
  changed: number
}

interface Policy {
  readonly name: PolicyName
  /** By the bytes of their names as latin1 text. */
  readonly measurements: Map<string, Counts>
  /** The sides of each series, by the hash of its key. Undefined once there are too many. */
  series: Map<number, { readonly measurement: string; sides: number }> | undefined
}

/** Adds up what compared shards have in common and not, by policy and measurement. */
export class DiffTally {
  readonly #policies = new Map<string, Policy>()
  readonly #maxSeries: number

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
    this.#see(policy, { series, measurement, sides })
  }

  /** Takes points that are known to be the same on both sides; of their series {@link DiffTally.addSeries} tells. */
  addEqual(name: PolicyName, measurement: Uint8Array, points: number): void {
    countsOf(this.#policyOf(name), latin1(measurement)).equal += points
  }

  /** Tells that both sides have points of the series of a key. */
  addSeries(name: PolicyName, key: Uint8Array): void {
    const series = seriesOf(key)
    const measurement = latin1(measurementOf(series))
    this.#see(this.#policyOf(name), { series, measurement, sides: BOTH })
  }

  /** True if, for all that is known by now, the series of the key is on one side only. */
  isOneSided(name: PolicyName, key: Uint8Array): boolean {
    const found = this.#policyOf(name).series?.get(hashOf(seriesOf(key)))
    return found !== undefined && found.sides !== BOTH
  }

  /** True if some series of the policy is, for all that is known by now, on one side only. */
  hasOneSided(name: PolicyName): boolean {
    const series = this.#policyOf(name).series ?? new Map<number, { sides: number }>()
    for (const { sides } of series.values()) if (sides !== BOTH) return true
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
    const policy = this.#policies.get(id) ?? {
      ...{ name: { database, retentionPolicy }, measurements: new Map(), series: new Map() },
    }
    this.#policies.set(id, policy)
    return policy
  }

  #see(
    policy: Policy,
    seen: { readonly series: Uint8Array; readonly measurement: string; readonly sides: number },
  ): void {
    const { series: known } = policy
    if (known === undefined) return
    const id = hashOf(seen.series)
    const found = known.get(id)
    if (found !== undefined) found.sides |= seen.sides
    else if (known.size >= this.#maxSeries) policy.series = undefined
    else known.set(id, { measurement: seen.measurement, sides: seen.sides })
  }
}

function countsOf({ measurements }: Policy, measurement: string): Counts {
  const counts = measurements.get(measurement) ?? { equal: 0, added: 0, removed: 0, changed: 0 }
  measurements.set(measurement, counts)
  return counts
}

function measurementsOf({ name, measurements, series }: Policy): MeasurementDifference[] {
  const added = new Map<string, number>()
  const removed = new Map<string, number>()
  for (const { measurement, sides } of series?.values() ?? []) {
    const counts = sides === RIGHT ? added : sides === LEFT ? removed : undefined
    counts?.set(measurement, (counts.get(measurement) ?? 0) + 1)
  }
  return [...measurements].map(([measurement, counts]) => ({
    ...name,
    measurement: Buffer.from(measurement, 'latin1').toString(),
    ...counts,
    seriesAdded: series === undefined ? null : (added.get(measurement) ?? 0),
    seriesRemoved: series === undefined ? null : (removed.get(measurement) ?? 0),
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
