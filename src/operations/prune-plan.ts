import { SnapError } from '../errors.ts'
import { linesOf } from './prune-lines.ts'
import type { SetWorth, SurveyedSet } from './prune-survey.ts'
import { applyRules, type KeepRule, type KeepRules } from './retention.ts'

/** Why a set is kept. */
export interface KeepReason {
  readonly rule:
    | KeepRule
    | 'min-sets'
    | 'pinned'
    | 'locked'
    | 'needed'
    | 'stock'
    | 'other-databases'
  /** Of rules: the databases that they keep the set for. */
  readonly databases?: readonly string[] | undefined
  /** `needed`: a set that cannot be restored without this one. */
  readonly by?: string | undefined
  /** `locked`: when the store would let it be deleted. */
  readonly until?: Date | undefined
}

/** What shall be kept. */
export interface PruneRules {
  readonly keep: KeepRules
  /** Good sets of each database that are left, whatever the rules say. At least 1. */
  readonly minSets: number
  /** Only sets that hold nothing but these databases may go. Empty: all may. */
  readonly databases: readonly string[]
  /** Sets of influxd may go too. */
  readonly includeStock: boolean
  readonly now: Date
}

/** What a target says against deleting sets, by their names. */
export interface Protection {
  readonly pinned: ReadonlySet<string>
  /** Sets that the store does not let anybody delete yet. */
  readonly locked: ReadonlyMap<string, Date>
}

/** A set, and why it is kept; no reason means that it goes. */
export interface PruneDecision {
  readonly set: SurveyedSet
  readonly reasons: readonly KeepReason[]
}

const WORTHS: readonly SetWorth[] = ['whole', 'unconfirmed', 'incomplete']

/**
 * Decides about every set of a target, in the order given: newest first.
 * @throws SnapError `E_PRUNE_REFUSED` if a set that is kept lacks a file
 */
export function planPrune(
  sets: readonly SurveyedSet[],
  rules: PruneRules,
  { pinned, locked }: Protection,
): PruneDecision[] {
  const reasons = new Map<string, KeepReason[]>()
  const keep = ({ name }: Pick<SurveyedSet, 'name'>, reason: KeepReason) =>
    reasons.set(name, [...(reasons.get(name) ?? []), reason])
  for (const set of sets) {
    if (pinned.has(set.name)) keep(set, { rule: 'pinned' })
    const until = locked.get(set.name)
    if (until !== undefined) keep(set, { rule: 'locked', until })
    const spared = sparedBy(set, rules)
    if (spared !== undefined) keep(set, { rule: spared })
  }
  for (const [name, kept] of keptByRules(sets, rules))
    for (const reason of kept) keep({ name }, reason)
  keepEnough(sets, rules, { isKept: ({ name }) => reasons.has(name), keep })
  for (const set of sets) {
    // Newest first: what a set needs is older, and comes later.
    if (!reasons.has(set.name)) continue
    for (const name of set.needs)
      if (!reasons.has(name)) keep({ name }, { rule: 'needed', by: set.name })
  }
  const decisions = sets.map((set) => ({ set, reasons: reasons.get(set.name) ?? [] }))
  refuseDamaged(decisions)
  return decisions
}

/** Why a set is none that the run is about. */
function sparedBy(
  { kind, databases }: SurveyedSet,
  rules: PruneRules,
): 'stock' | 'other-databases' | undefined {
  if (kind === 'stock' && !rules.includeStock) return 'stock'
  if (rules.databases.length === 0) return undefined
  const isOnly = databases.length > 0 && databases.every((name) => rules.databases.includes(name))
  return isOnly ? undefined : 'other-databases'
}

/** The sets that the rules are applied to: those of influxd only where they may go. */
function linesFor(sets: readonly SurveyedSet[], { includeStock }: PruneRules) {
  return linesOf(sets.filter(({ kind }) => kind === 'snap' || includeStock))
}

function keptByRules(
  sets: readonly SurveyedSet[],
  rules: PruneRules,
): Map<string, (KeepReason & { readonly databases: string[] })[]> {
  const kept = new Map<string, (KeepReason & { readonly databases: string[] })[]>()
  for (const { database, sets: line } of linesFor(sets, rules)) {
    for (const [name, names] of applyRules(line, rules.keep, rules.now)) {
      const reasons = kept.get(name) ?? []
      kept.set(name, reasons)
      for (const rule of names) {
        const known = reasons.find((reason) => reason.rule === rule)
        if (known === undefined) reasons.push({ rule, databases: [database] })
        else if (!known.databases.includes(database)) known.databases.push(database)
      }
    }
  }
  return kept
}

/** Keeps so many sets of each database: the best, and of those the newest. Damaged ones do not count. */
function keepEnough(
  sets: readonly SurveyedSet[],
  rules: PruneRules,
  {
    isKept,
    keep,
  }: {
    readonly isKept: (set: SurveyedSet) => boolean
    readonly keep: (set: SurveyedSet, reason: KeepReason) => void
  },
): void {
  for (const { database, sets: line } of linesFor(sets, rules)) {
    for (const [index] of WORTHS.entries()) {
      const enough = WORTHS.slice(0, index + 1)
      const good = line.filter(({ problem, worth }) => !problem && enough.includes(worth))
      const missing = rules.minSets - good.filter(isKept).length
      for (const set of good.filter((each) => !isKept(each)).slice(0, Math.max(0, missing))) {
        keep(set, { rule: 'min-sets', databases: [database] })
      }
    }
  }
}

function refuseDamaged(decisions: readonly PruneDecision[]): void {
  const damaged = decisions.filter(({ set, reasons }) => set.problem && reasons.length > 0)
  const [first] = damaged
  if (first === undefined) return
  const { name, problem } = first.set
  const others = damaged.length > 1 ? ` (and ${damaged.length - 1} more sets are damaged)` : ''
  throw new SnapError(
    'E_PRUNE_REFUSED',
    `nothing was deleted: set ${name} would be kept, and ${problem}${others}`,
    {
      hint: `\`snap verify\` names all damage; get the file back from a copy, or give the set up: remove ${name}.manifest and ${name}.snap.json`,
    },
  )
}
