import { type Data, INTERNAL_DATABASE, isDeleted } from '../meta/index.ts'
import { listHeadless, type SetListing } from '../portable/listing.ts'
import { listUnfinished } from '../portable/target.ts'
import {
  type Anomaly,
  type AnomalyItem,
  type AnomalyKind,
  MAX_ITEMS,
  type Report,
  type ReportSet,
  type Severity,
} from './report-data.ts'
import { isOverdue, rhythmOf } from './report-rhythm.ts'

/** What is known besides the report. */
export interface AnomalyFacts {
  readonly listing: SetListing
  readonly metastore: Data | undefined
  /** Shards that hold less than in the set before, the newest first. */
  readonly shrunk: readonly AnomalyItem[]
  readonly checkedWithin: number
}

type Found = Omit<Report, 'anomalies'>

/** So many older sets a set may share archives with before it is said: each of them is one that all hangs on. */
const LONG_CHAIN = 31

/** Finds what an operator should look at, the worst first. */
export function findAnomalies(found: Found, facts: AnomalyFacts): Anomaly[] {
  const { sets } = found
  const [newest] = sets
  const isLate = isOverdue(found.rhythm, found.generated)
  const missing = missingDatabases(found)
  const all: readonly (readonly [AnomalyKind, Severity, readonly AnomalyItem[]])[] = [
    ['damaged', 'critical', sets.flatMap(problemOf)],
    ['headless', 'critical', listHeadless(facts.listing).map((set) => ({ set }))],
    ['check-failed', 'critical', sets.flatMap(failedChecks)],
    ['lost-shards', 'critical', lostShards(found)],
    ['overdue', 'critical', newest && isLate ? [lateItem(newest, found)] : []],
    ['database-missing', 'warning', missing],
    ['database-overdue', 'warning', isLate ? [] : overdueDatabases(found, missing)],
    ['shrunk', 'warning', facts.shrunk],
    ['not-verified', 'warning', uncheckedSince(found, 'verified', facts.checkedWithin)],
    ['never-held', 'note', neverHeld(found, facts)],
    ['not-drilled', 'note', uncheckedSince(found, 'drilled', facts.checkedWithin)],
    ['unconfirmed', 'note', newest?.completeness === 'unconfirmed' ? [{ set: newest.set }] : []],
    ['long-chain', 'note', newest && newest.sharesWith >= LONG_CHAIN ? [chainOf(newest)] : []],
    ['stock-chain', 'note', sets.flatMap(stockChainOf).slice(0, 1)],
    ['unfinished', 'note', listUnfinished(facts.listing.files).map(({ set }) => ({ set }))],
  ]
  return all
    .filter(([, , items]) => items.length > 0)
    .map(([kind, severity, items]) => ({
      ...{ kind, severity, items: items.slice(0, MAX_ITEMS), count: items.length },
    }))
}

function problemOf({ set, problem }: ReportSet): AnomalyItem[] {
  return problem === undefined ? [] : [{ set, message: problem }]
}

function chainOf({ set, sharesWith }: ReportSet): AnomalyItem {
  return { set, count: sharesWith }
}

/** The newest says it for all. */
function stockChainOf({ set, chain }: ReportSet): AnomalyItem[] {
  return chain === undefined ? [] : [{ set, count: chain.sets }]
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function failedChecks({ set, verified, drilled }: ReportSet): AnomalyItem[] {
  const items: AnomalyItem[] = []
  if (verified?.ok === false) {
    const message = `verify: ${counted(verified.problems, 'problem')}`
    items.push({ set, time: new Date(verified.time), message })
  }
  if (drilled?.ok === false) {
    const message = `drill: ${counted(drilled.differences, 'difference')}`
    items.push({ set, time: new Date(drilled.time), message })
  }
  return items
}

/** Shards that no set holds, and newest sets that say themselves that they lack some. */
function lostShards({ sets, databases }: Found): AnomalyItem[] {
  const nowhere = databases.flatMap(({ name: database, policies }) =>
    policies.flatMap(({ name: retentionPolicy, states }) =>
      states.lost > 0 ? [{ database, retentionPolicy, count: states.lost }] : [],
    ),
  )
  const [newest] = sets
  if (newest === undefined || newest.lost === 0) return nowhere
  return [{ set: newest.set, count: newest.lost }, ...nowhere]
}

function lateItem({ set, time }: ReportSet, { rhythm }: Found): AnomalyItem {
  return { set, time: new Date(time), usualMs: rhythm.usualMs }
}

/** Databases that the newest set does not hold although it was to hold them. */
function missingDatabases({ databases }: Found): AnomalyItem[] {
  return databases
    .filter(({ policies }) =>
      policies.every(({ states, shards }) => states.older + states.lost === shards),
    )
    .map(({ name: database, newest: set }) => ({ database, set }))
}

/** Databases that have sets of their own, which have stopped to come. */
function overdueDatabases(
  { sets, databases, generated }: Found,
  missing: readonly AnomalyItem[],
): AnomalyItem[] {
  return databases.flatMap(({ name: database }) => {
    if (missing.some((item) => item.database === database)) return []
    const own = sets.filter((set) => set.databases.includes(database))
    const [newest] = own
    const rhythm = rhythmOf(own, generated)
    if (newest === undefined || !isOverdue(rhythm, generated)) return []
    const { usualMs } = rhythm
    return [{ database, set: newest.set, time: new Date(newest.time), usualMs }]
  })
}

function uncheckedSince(
  { sets, checks, generated }: Found,
  kind: 'verified' | 'drilled',
  within: number,
): AnomalyItem[] {
  const last = checks[kind]
  if (last === undefined) return sets.length > 0 ? [{}] : []
  if (generated.getTime() - last.time.getTime() <= within) return []
  return [{ set: last.set, time: last.time }]
}

/** Databases of the server, with shards, that no set holds. */
function neverHeld({ databases }: Found, { metastore }: AnomalyFacts): AnomalyItem[] {
  const held = new Set(databases.map(({ name }) => name))
  return (metastore?.databases ?? [])
    .filter(({ name }) => name !== INTERNAL_DATABASE && !held.has(name))
    .filter(({ retentionPolicies }) =>
      retentionPolicies.some(({ shardGroups }) => shardGroups.some((group) => !isDeleted(group))),
    )
    .map(({ name: database }) => ({ database }))
}
