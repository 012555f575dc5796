const HOUR = 3_600_000
const DAY = 24 * HOUR
/** 1 January 1970 was a Thursday: so many days before it the week began. */
const DAYS_INTO_FIRST_WEEK = 3

/** Which sets to keep; those that no rule names are not. Every count is at least 1. */
export interface KeepRules {
  /** The newest sets. */
  readonly last?: number | undefined
  /** The newest set of each of the newest hours that have one; UTC, as all that follow. */
  readonly hourly?: number | undefined
  readonly daily?: number | undefined
  /** Weeks of ISO 8601: they begin on Monday. */
  readonly weekly?: number | undefined
  readonly monthly?: number | undefined
  readonly yearly?: number | undefined
  /** All sets at most so many milliseconds older than the newest one. */
  readonly within?: number | undefined
}

/** The name of a rule. */
export type KeepRule = keyof KeepRules

/** Something that was made at a time. */
export interface Dated {
  readonly name: string
  readonly time: Date
}

/** Returns what two times have in common exactly if they are in the same hour, day ... */
type Bucket = (time: Date, index: number) => number

const BUCKETS: Readonly<Record<Exclude<KeepRule, 'within'>, Bucket>> = {
  last: (_time, index) => index,
  hourly: (time) => Math.floor(time.getTime() / HOUR),
  daily: (time) => Math.floor(time.getTime() / DAY),
  weekly: (time) => Math.floor((Math.floor(time.getTime() / DAY) + DAYS_INTO_FIRST_WEEK) / 7),
  monthly: (time) => time.getUTCFullYear() * 12 + time.getUTCMonth(),
  yearly: (time) => time.getUTCFullYear(),
}

/** True if at least one rule is given. */
export function hasRule(rules: KeepRules): boolean {
  return Object.values(rules).some((value) => value !== undefined)
}

/**
 * Applies the rules to sets and returns, by name, the rules that keep a set. As with `restic forget`: each rule goes from
 * the newest set to the oldest and keeps the first of each hour, day ... until its count is used up; while it is not, the
 * oldest set is kept too, so that a yearly set grows old from the first day on. Periods without a set do not count.
 *
 * `within` goes by the newest set and not by the clock: where no backups are made any more, the last ones stay. A set that was
 * made after `now` is kept by it, and does not move it.
 */
export function applyRules<T extends Dated>(
  sets: readonly T[],
  rules: KeepRules,
  now: Date,
): Map<string, KeepRule[]> {
  const newestFirst = sets.toSorted(
    (a, b) => b.time.getTime() - a.time.getTime() || (a.name < b.name ? 1 : -1),
  )
  const kept = new Map<string, KeepRule[]>()
  const keep = ({ name }: T, rule: KeepRule) => kept.set(name, [...(kept.get(name) ?? []), rule])
  for (const [rule, bucket] of bucketsOf(rules)) {
    for (const set of firstOfEach(newestFirst, bucket, rules[rule] ?? 0)) keep(set, rule)
  }
  if (rules.within !== undefined) {
    const newest = newestFirst.find(({ time }) => time <= now) ?? newestFirst.at(-1)
    const oldest = (newest?.time.getTime() ?? 0) - rules.within
    for (const set of newestFirst) if (set.time.getTime() >= oldest) keep(set, 'within')
  }
  return kept
}

function bucketsOf(rules: KeepRules) {
  const names = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
  return names
    .filter((name) => rules[name] !== undefined)
    .map((name) => [name, BUCKETS[name]] as const)
}

function firstOfEach<T extends Dated>(
  newestFirst: readonly T[],
  bucket: Bucket,
  count: number,
): T[] {
  const found: T[] = []
  let previous: number | undefined
  for (const [index, set] of newestFirst.entries()) {
    if (found.length === count) break
    const current = bucket(set.time, index)
    if (current === previous && index < newestFirst.length - 1) continue
    previous = current
    found.push(set)
  }
  return found
}
