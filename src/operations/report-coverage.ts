import { type Data, findDatabase, findRetentionPolicy } from '../meta/index.ts'
import type { CoverSpan, CoverState, ReportDatabase, ReportPolicy } from './report-data.ts'
import type { FollowedShard } from './report-shards.ts'
import type { ContainedShard } from './set-contents.ts'

/** What is known besides the shards. */
export interface CoverageFacts {
  /** Where the newest set stands that was to hold a policy; -1 if none was. */
  readonly newestFor: (policy: Pick<FollowedShard, 'database' | 'retentionPolicy'>) => number
  /** The newest metastore that can be read. */
  readonly metastore: Data | undefined
  /** How many sets hold something of a database. */
  readonly setsOf: ReadonlyMap<string, number>
  readonly now: Date
}

/** So many spans a policy has at most: more could not be seen. */
const MAX_SPANS = 240
const MAX_HOLES = 10
/** From the best to the worst. */
const STATES: readonly CoverState[] = ['proven', 'held', 'older', 'lost']

/** A shard with its times, ms since the epoch. */
interface Placed {
  readonly shard: FollowedShard
  readonly state: CoverState
  readonly start: number
  readonly end: number
}

/** Says of every database and policy what is held of it, and how. */
export function describeCoverage(
  shards: Iterable<FollowedShard>,
  facts: CoverageFacts,
): ReportDatabase[] {
  const databases = groupBy(shards, ({ database }) => database)
  return sorted(databases).map(([name, all]) => {
    const newest = all.reduce((a, b) => (b.newest > a.newest ? b : a))
    const policies = groupBy(all, ({ retentionPolicy }) => retentionPolicy)
    return {
      name,
      sets: facts.setsOf.get(name) ?? 0,
      newest: newest.newestSet,
      ...totalsOf(all.filter(isHeld)),
      policies: sorted(policies).map(([policy, own]) => describePolicy(policy, own, facts)),
    }
  })
}

function describePolicy(
  name: string,
  shards: readonly FollowedShard[],
  facts: CoverageFacts,
): ReportPolicy {
  const [first] = shards
  const newest = first === undefined ? -1 : facts.newestFor(first)
  const states = { proven: 0, held: 0, older: 0, lost: 0 }
  const placed: Placed[] = []
  for (const shard of shards) {
    const state = stateOf(shard, newest)
    states[state] += 1
    const { times } = shard
    if (times !== undefined) {
      placed.push({ shard, state, start: toMs(times.start), end: toMs(times.end) })
    }
  }
  placed.sort((a, b) => a.start - b.start || a.end - b.end)
  const end = lastEnd(placed)
  const start = placed[0]?.start
  return {
    ...{ name, shards: shards.length, ...totalsOf(shards.filter(isHeld)), states },
    ...(start !== undefined && { start: new Date(start), end: new Date(end) }),
    spans: spansOf(placed),
    ...holesOf(placed),
    ...(first && dropsOf(first, placed, facts)),
  }
}

function isHeld({ sets }: FollowedShard): boolean {
  return sets > 0
}

function stateOf({ sets, newest, proven }: FollowedShard, wanted: number): CoverState {
  if (sets === 0) return 'lost'
  if (newest < wanted) return 'older'
  return proven ? 'proven' : 'held'
}

/** Puts shards into one span each or, where there are very many, into spans of the same time. */
function spansOf(placed: readonly Placed[]): CoverSpan[] {
  const start = placed[0]?.start ?? 0
  const width = (lastEnd(placed) - start) / MAX_SPANS
  const buckets = new Map<number, Placed[]>()
  for (const [index, one] of placed.entries()) {
    const bucket = placed.length <= MAX_SPANS ? index : Math.floor((one.start - start) / width)
    const others = buckets.get(bucket)
    if (others === undefined) buckets.set(bucket, [one])
    else others.push(one)
  }
  return [...buckets.values()].map(spanOf)
}

function spanOf(shards: readonly Placed[]): CoverSpan {
  const newest = shards.reduce((a, b) => (b.shard.newest > a.shard.newest ? b : a))
  return {
    start: new Date(shards[0]?.start ?? 0),
    end: new Date(lastEnd(shards)),
    shards: shards.length,
    state: STATES.findLast((state) => shards.some((one) => one.state === state)) ?? 'held',
    sets: shards.reduce((most, { shard }) => Math.max(most, shard.sets), 0),
    ...(newest.shard.sets > 0 && { newest: newest.shard.newestSet }),
  }
}

function lastEnd(placed: readonly Placed[]): number {
  return placed.reduce((latest, { end }) => Math.max(latest, end), Number.NEGATIVE_INFINITY)
}

function holesOf(placed: readonly Placed[]): Pick<ReportPolicy, 'holes' | 'holeCount'> {
  const holes: { start: Date; end: Date }[] = []
  let holeCount = 0
  let until = Number.POSITIVE_INFINITY
  for (const { start, end } of placed) {
    if (start > until) {
      holeCount += 1
      if (holes.length < MAX_HOLES) holes.push({ start: new Date(until), end: new Date(start) })
    }
    until = until === Number.POSITIVE_INFINITY ? end : Math.max(until, end)
  }
  return { holes, holeCount }
}

/** Says when the server drops what, if it does as the policy says. */
function dropsOf(
  { database, retentionPolicy }: FollowedShard,
  placed: readonly Placed[],
  { metastore, now }: CoverageFacts,
): Pick<ReportPolicy, 'durationMs' | 'drops' | 'dropped'> {
  const owner = metastore && findDatabase(metastore, database)
  const policy = owner && findRetentionPolicy(owner, retentionPolicy)
  if (policy === undefined) return {}
  if (policy.duration === 0n) return { durationMs: null, dropped: 0 }
  const durationMs = toMs(policy.duration)
  const isOver = ({ end }: Placed) => end + durationMs <= now.getTime()
  const next = placed
    .filter((one) => !isOver(one))
    .reduce<Placed | undefined>((a, b) => (a === undefined || b.end < a.end ? b : a), undefined)
  return {
    ...{ durationMs, dropped: placed.filter(isOver).length },
    ...(next && {
      drops: {
        at: new Date(next.end + durationMs),
        start: new Date(next.start),
        end: new Date(next.end),
      },
    }),
  }
}

/** Adds up shards. Points and series only if all of them have counted ones. */
export function totalsOf(
  shards: readonly Pick<ContainedShard, 'retentionPolicy' | 'database' | 'bytes' | 'data'>[],
): Pick<ReportPolicy, 'bytes' | 'points' | 'series'> {
  let bytes = 0
  let points = 0
  const series = new Map<string, number>()
  for (const { database, retentionPolicy, data, bytes: own } of shards) {
    bytes += own
    points += data?.points ?? Number.NaN
    const policy = JSON.stringify([database, retentionPolicy])
    series.set(policy, Math.max(series.get(policy) ?? 0, data?.series ?? 0))
  }
  if (Number.isNaN(points)) return { bytes }
  return { bytes, points, series: [...series.values()].reduce((sum, count) => sum + count, 0) }
}

function groupBy(
  shards: Iterable<FollowedShard>,
  keyOf: (shard: FollowedShard) => string,
): Map<string, FollowedShard[]> {
  const groups = new Map<string, FollowedShard[]>()
  for (const shard of shards) {
    const key = keyOf(shard)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [shard])
    else group.push(shard)
  }
  return groups
}

function sorted<T>(groups: ReadonlyMap<string, T>): [string, T][] {
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Milliseconds of nanoseconds. */
function toMs(nanoseconds: bigint): number {
  return Number(nanoseconds / 1_000_000n)
}
