import type { HttpClient } from '../client/index.ts'
import { quoteName } from '../meta/index.ts'
import type { FieldCount } from './field-counts.ts'

/** A field of which a server counts other points than it should have. */
export interface CountDifference {
  readonly database: string
  readonly retentionPolicy: string
  readonly measurement: string
  readonly field: string
  readonly expected: number
  readonly got: number
}

/** What a server said when it was asked. */
export interface CheckedCounts {
  /** Measurements that were asked for. */
  readonly measurements: number
  /** Fields that cannot be asked for: shards have it with different types, of which a query sees one. */
  readonly unchecked: number
  readonly differences: readonly CountDifference[]
}

/** A count reads every block of a measurement. */
const DEADLINE_MS = 10 * 60_000

/**
 * Asks a server to count the points of every field of every measurement, as an application would, and compares: what is in
 * the files and not in the index is not there for a query.
 */
export async function checkCounts(
  http: HttpClient,
  fields: readonly FieldCount[],
  signal: AbortSignal,
): Promise<CheckedCounts> {
  const asked = fields.filter(({ types }) => types.size === 1)
  const measurements = new Map<string, FieldCount[]>()
  for (const field of asked) {
    const { database, retentionPolicy, measurement } = field
    const from = [database, retentionPolicy, measurement].map(quoteName).join('.')
    const known = measurements.get(from)
    if (known === undefined) measurements.set(from, [field])
    else known.push(field)
  }
  const differences: CountDifference[] = []
  for (const [from, expected] of measurements) {
    const query = `SELECT count(*) FROM ${from}`
    const [row] = await http.query(query, { signal, deadline: DEADLINE_MS })
    for (const { database, retentionPolicy, measurement, field, points } of expected) {
      const got = Number(row?.values[`count_${field}`] ?? 0)
      if (got === points) continue
      const name = { database, retentionPolicy, measurement, field }
      differences.push({ ...name, expected: points, got })
    }
  }
  return { measurements: measurements.size, unchecked: fields.length - asked.length, differences }
}
