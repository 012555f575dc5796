import { SnapError } from '../errors.ts'
import type { PolicyName } from '../formats/points.ts'
import { type ListedShard, matchesName, startOfGroup } from '../meta/index.ts'
import type { ExactRange } from './exact-range.ts'
import { overlaps, planShards, type ShardPlan } from './plan-shards.ts'
import type { Selection } from './selection.ts'
import { type KeepKey, keepSeries, type SeriesSelection } from './series-selection.ts'
import { type SetScope, scopeOf } from './set-scope.ts'
import type { ShardSource } from './shard-source.ts'

/** Which points of which sources are compared. */
export interface DiffWish {
  readonly left: ShardSource
  readonly right: ShardSource
  readonly selection: Selection
  readonly series: SeriesSelection
  readonly range?: ExactRange | undefined
  readonly signal: AbortSignal
}

/** What will be compared. */
export interface DiffPlan {
  readonly pairs: readonly ShardGroupPair[]
  readonly range: ExactRange | undefined
  readonly keepKey: KeepKey | undefined
}

/** Shards of one policy that can hold the same points: their times overlap, directly or through others. */
export interface ShardGroupPair extends PolicyName {
  /** In the order of their times, as on the other side; one of the two may be empty. */
  readonly left: readonly ListedShard[]
  readonly right: readonly ListedShard[]
}

type Side = 'left' | 'right'

interface Placed {
  readonly side: Side
  readonly listed: ListedShard
}

interface Growing {
  readonly pair: ShardGroupPair & Readonly<Record<Side, ListedShard[]>>
  endTime: bigint
}

/**
 * Selects what both sides were asked to hold: what a set was never asked to take is no difference. One side may have none
 * of it; then all of it is added, or removed.
 * @throws SnapError `E_NOTHING_MATCHED` if neither side has any
 */
export async function planDiff(wish: DiffWish): Promise<DiffPlan> {
  const { selection, series, range } = wish
  const [left, right] = await planBoth(wish)
  const plans = [left, right].filter((plan) => plan !== undefined)
  const { selection: held, range: within } = plans.reduce(
    (scope, plan) =>
      scopeOf(
        { selection: scope.selection, series: scope.selection, range: scope.range },
        plan.scope,
      ),
    scopeOf({ selection, series, range }, undefined),
  )
  const isHeld = holder({ selection: held, range: within })
  const pairs = pairShards(left?.shards.filter(isHeld) ?? [], right?.shards.filter(isHeld) ?? [])
  const isAsked = (pair: ShardGroupPair) =>
    (pair.left.length > 0 || !hasChosenShards(left)) &&
    (pair.right.length > 0 || !hasChosenShards(right))
  const exact = within && { start: within.start, end: within.end }
  return { pairs: pairs.filter(isAsked), range: exact, keepKey: keepSeries(held) }
}

async function planBoth({ left, right, selection, range, signal }: DiffWish) {
  const failures: SnapError[] = []
  const plan = async (source: ShardSource): Promise<ShardPlan | undefined> => {
    try {
      return await planShards({ source, selection, range, signal })
    } catch (error) {
      if (!(error instanceof SnapError) || error.code !== 'E_NOTHING_MATCHED') throw error
      failures.push(error)
      return undefined
    }
  }
  const plans = [await plan(left), await plan(right)] as const
  const [failure, other] = failures
  if (failure !== undefined && other !== undefined) throw failure
  return plans
}

/** True of a set that was asked for certain shards: their ids mean nothing on the other side. */
function hasChosenShards(plan: ShardPlan | undefined): boolean {
  return (plan?.scope?.selection.shardIds ?? []).length > 0
}

function holder({
  selection,
  range,
}: Pick<SetScope, 'selection' | 'range'>): (listed: ListedShard) => boolean {
  const { databases = [], retentionPolicy, excludeDatabases = [] } = selection
  return (listed) =>
    (databases.length > 0
      ? databases.some((pattern) => matchesName(pattern, listed.database))
      : !excludeDatabases.some((pattern) => matchesName(pattern, listed.database))) &&
    (retentionPolicy ?? listed.retentionPolicy) === listed.retentionPolicy &&
    overlaps(listed, range)
}

/**
 * Pairs the shards of two sides, policy by policy. Ids say nothing: a restored shard has another one, and where the
 * durations of shards differ several of one side stand against one of the other.
 */
export function pairShards(
  left: readonly ListedShard[],
  right: readonly ListedShard[],
): ShardGroupPair[] {
  const placed = [
    ...left.map((listed): Placed => ({ side: 'left', listed })),
    ...right.map((listed): Placed => ({ side: 'right', listed })),
  ]
  const pairs: Growing[] = []
  for (const { side, listed } of placed.sort(byPolicyAndTime)) {
    const { database, retentionPolicy, group } = listed
    let last = pairs.at(-1)
    const isSamePolicy =
      last?.pair.database === database && last.pair.retentionPolicy === retentionPolicy
    if (last === undefined || !isSamePolicy || startOfGroup(group) >= last.endTime) {
      const pair = { database, retentionPolicy, left: [], right: [] }
      last = { pair, endTime: group.endTime }
      pairs.push(last)
    }
    last.pair[side].push(listed)
    if (group.endTime > last.endTime) last.endTime = group.endTime
  }
  return pairs.map(({ pair }) => pair)
}

function byPolicyAndTime({ listed: a }: Placed, { listed: b }: Placed): number {
  if (a.database !== b.database) return a.database < b.database ? -1 : 1
  if (a.retentionPolicy !== b.retentionPolicy) return a.retentionPolicy < b.retentionPolicy ? -1 : 1
  const order = startOfGroup(a.group) - startOfGroup(b.group) || a.shard.id - b.shard.id
  return order < 0n ? -1 : order > 0n ? 1 : 0
}
