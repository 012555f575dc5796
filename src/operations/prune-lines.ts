import { inScope } from '../portable/holds.ts'
import type { SurveyedSet } from './prune-survey.ts'

/** The sets that hold a database, or the same part of it: rules are applied to each line by itself. */
export interface PruneLine {
  /** Empty: sets that hold none. */
  readonly database: string
  /** In the order they were given in. */
  readonly sets: readonly SurveyedSet[]
}

/**
 * Sorts sets into lines. A set that was asked to take everything is in the line of every database, even of one that did
 * not exist any more: so the sets of a dropped database grow old with the others. A set that was asked for a part of
 * a database, a retention policy for one, never counts as one of the whole.
 */
export function linesOf(sets: readonly SurveyedSet[]): PruneLine[] {
  const parts = new Map(sets.map((set) => [set, partOf(set)]))
  const lines = new Map<string, PruneLine & { readonly part: string }>()
  for (const set of sets) {
    for (const database of namesOf(set)) {
      const part = parts.get(set) ?? ''
      lines.set(JSON.stringify([database, part]), { database, part, sets: [] })
    }
  }
  const filled = [...lines.values()].map(({ database, part }) => ({
    database,
    sets: sets.filter((set) => {
      const own = parts.get(set) ?? ''
      return (own === '' || own === part) && covers(set, database)
    }),
  }))
  const inLine = new Set(filled.flatMap((line) => line.sets))
  const others = sets.filter((set) => !inLine.has(set))
  return others.length > 0 ? [...filled, { database: '', sets: others }] : filled
}

function namesOf({ databases, selection }: SurveyedSet): readonly string[] {
  return [...new Set([...databases, ...(selection?.databases ?? [])])]
}

/** True if a set was asked to take a database, or at least its part of it. */
function covers({ databases, selection }: SurveyedSet, database: string): boolean {
  if (selection === undefined) return databases.includes(database)
  const { databases: asked, excludeDatabases } = selection
  return inScope({ selection: { databases: asked, excludeDatabases } }, { database })
}

/** What a set is limited to within its databases; empty if to nothing. Times are no such limit. */
function partOf({ selection }: SurveyedSet): string {
  const { retentionPolicy, shardIds = [], measurements = [], tags = [] } = selection ?? {}
  if (retentionPolicy === undefined && shardIds.length + measurements.length + tags.length === 0) {
    return ''
  }
  const sortedTags = tags.map(({ key, value }) => [key, value].join('=')).sort()
  const limits = [shardIds.map(String).sort(), [...measurements].sort(), sortedTags]
  return JSON.stringify([retentionPolicy ?? null, ...limits])
}
