import type { PolicyName } from '../formats/points.ts'
import { measurementOf, seriesOf } from '../tsm/series-key.ts'

/** A measurement of a policy; bytes of its name that are not UTF-8 are replaced. */
export interface MeasurementName extends PolicyName {
  readonly measurement: string
}

/** How many points of a measurement were written; a point is one value of one field. */
export interface MeasurementPoints extends MeasurementName {
  readonly points: number
}

/** What of a measurement the format has no way to say. */
export interface LeftOutPoints extends MeasurementName {
  readonly reason: string
  /** Fields of series of which nothing was written; their points are not counted. */
  readonly keys: number
  /** Points besides. */
  readonly points: number
}

interface Count extends MeasurementName {
  points: number
}

interface LeftOutCount extends LeftOutPoints {
  keys: number
  points: number
}

/** Counts what is written and what is not, by measurement. */
export class ExportTally {
  readonly #counts = new Map<string, Count>()
  readonly #leftOut = new Map<string, LeftOutCount>()
  #points = 0

  /** Points written. */
  get points(): number {
    return this.#points
  }

  /** Counts points as written, or takes some back. */
  add(name: MeasurementName, points: number): void {
    const id = idOf(name)
    const count = this.#counts.get(id) ?? { ...name, points: 0 }
    count.points += points
    this.#counts.set(id, count)
    this.#points += points
  }

  /** Takes note of something that was not written, or not as it is. */
  leaveOut(
    name: MeasurementName,
    reason: string,
    { keys = 0, points = 0 }: { readonly keys?: number; readonly points?: number },
  ): void {
    const id = `${idOf(name)}\0${reason}`
    const found = this.#leftOut.get(id) ?? { ...name, reason, keys: 0, points: 0 }
    found.keys += keys
    found.points += points
    this.#leftOut.set(id, found)
  }

  /** Returns the measurements with points, in the order in which they were met. */
  measurements(): MeasurementPoints[] {
    return [...this.#counts.values()].filter(({ points }) => points > 0)
  }

  /** Returns what was left out, by measurement and reason. */
  leftOut(): LeftOutPoints[] {
    return [...this.#leftOut.values()]
  }
}

function idOf({ database, retentionPolicy, measurement }: MeasurementName): string {
  return `${database}\0${retentionPolicy}\0${measurement}`
}

/** Returns whose a composite key is. */
export function measurementName(
  { database, retentionPolicy }: PolicyName,
  key: Uint8Array,
): MeasurementName {
  const measurement = Buffer.from(measurementOf(seriesOf(key))).toString()
  return { database, retentionPolicy, measurement }
}
