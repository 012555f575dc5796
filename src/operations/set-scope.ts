import type { Catalog, SetSelection } from '../portable/index.ts'
import { type ExactRange, intersect } from './exact-range.ts'
import type { Selection } from './selection.ts'
import type { SeriesSelection } from './series-selection.ts'

/** What a set holds, by what was asked for. */
export type SetScope = Pick<Catalog, 'kind' | 'range' | 'selection'>

/** What is asked to be in a set. */
export interface ScopeWish {
  readonly selection: Selection
  readonly series?: SeriesSelection | undefined
  readonly range?: ExactRange | undefined
  readonly since?: bigint | undefined
}

/**
 * Returns what a set will hold: what is asked for, of what the source holds itself.
 * @param source undefined if it holds everything
 */
export function scopeOf(wish: ScopeWish, source: SetScope | undefined): SetScope {
  const { selection, series = {}, since } = wish
  const { measurements = [], tags = [] } = series
  const range = intersect(wish.range, source?.range)
  const isPart = range !== undefined || measurements.length + tags.length > 0
  const within = source?.selection
  return {
    kind: isPart || source?.kind === 'range' ? 'range' : 'full',
    ...(range && { range: { ...range, exact: true } }),
    selection: {
      databases: chosen(selection.databases, within?.databases),
      retentionPolicy: selection.retentionPolicy ?? within?.retentionPolicy,
      shardIds: chosen(selection.shards, within?.shardIds),
      excludeDatabases: union(selection.excludeDatabases, within?.excludeDatabases),
      since,
      measurements: chosen(series.measurements, within?.measurements),
      tags: joinTags(series.tags, within?.tags),
    },
  }
}

/** The narrower of two lists of which an empty one means everything; what was asked for was found in the source. */
function chosen<T>(
  wanted: readonly T[] | undefined,
  within: readonly T[] | undefined,
): readonly T[] | undefined {
  return (wanted ?? []).length > 0 ? wanted : (within ?? wanted)
}

function union<T>(
  a: readonly T[] | undefined,
  b: readonly T[] | undefined,
): readonly T[] | undefined {
  return a && b ? [...new Set([...a, ...b])] : (a ?? b)
}

function joinTags(
  wanted: SetSelection['tags'] = [],
  within: SetSelection['tags'] = [],
): SetSelection['tags'] {
  const keys = new Set(wanted.map(({ key }) => key))
  const joined = [...wanted, ...within.filter(({ key }) => !keys.has(key))]
  return joined.length > 0 ? joined : undefined
}
