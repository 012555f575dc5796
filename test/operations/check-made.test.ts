import { expect, it } from 'vitest'
import {
  type Data,
  emptyData,
  encodeData,
  findDatabase,
  importData,
  minimalData,
} from '../../src/meta/index.ts'
import { differenceInMade } from '../../src/operations/check-made.ts'
import type { DatabasePlan } from '../../src/operations/restore-plan.ts'
import { dataOf, SAMPLE } from '../helpers/data-directory.ts'

function planOf(changes: Partial<DatabasePlan> = {}): DatabasePlan {
  const database = 'telegraf'
  return {
    ...{
      database,
      newDatabase: 'again',
      retentionPolicy: undefined,
      newRetentionPolicy: undefined,
    },
    ...{ metaBytes: encodeData(minimalData(dataOf(SAMPLE), { database })), shards: [] },
    ...changes,
  }
}

/** What a server makes of a plan. */
function madeFrom(plan: DatabasePlan) {
  const { data, shardIds: ids } = importData(emptyData(), dataOf(SAMPLE), {
    backupDatabase: plan.database,
    restoreDatabase: plan.newDatabase,
    backupRetentionPolicy: plan.retentionPolicy,
    restoreRetentionPolicy: plan.newRetentionPolicy,
  })
  return { data, ids }
}

type Policies = NonNullable<ReturnType<typeof findDatabase>>['retentionPolicies']

function policiesOf(data: Data): Policies {
  return findDatabase(data, 'again')?.retentionPolicies ?? []
}

function set<T extends object>(objects: readonly T[], fields: Partial<T>): void {
  for (const object of objects) Object.assign(object, fields)
}

it.each([
  ['all policies', planOf()],
  ['one under a new name', planOf({ retentionPolicy: 'short', newRetentionPolicy: 'long' })],
])('finds nothing in what was made as it was sent: %s', (_, plan) => {
  expect(differenceInMade(plan, madeFrom(plan))).toBeUndefined()
})

it('lets groups be that somebody made since', () => {
  const made = madeFrom(planOf())
  for (const { shardGroups } of policiesOf(made.data)) {
    const [first] = shardGroups
    if (first) shardGroups.push({ ...first, id: 77n, startTime: 99n, shards: [] })
  }
  expect(differenceInMade(planOf(), made)).toBeUndefined()
})

it.each<[string, (made: ReturnType<typeof madeFrom>) => void, RegExp]>([
  ['no database', ({ data }) => void data.databases.splice(0), /^it is not there$/],
  [
    'another default policy',
    ({ data }) => set(data.databases, { defaultRetentionPolicy: 'x' }),
    /^its default policy is x, expected autogen$/,
  ],
  [
    'a policy with another name',
    ({ data }) => set(policiesOf(data), { name: 'other' }),
    /^policy autogen: it is not there$/,
  ],
  [
    'another duration',
    ({ data }) => set(policiesOf(data), { duration: 5n }),
    /^policy autogen: it is \["5",.*expected \["0",/,
  ],
  [
    'a group of other times',
    ({ data }) => {
      const groups = policiesOf(data).flatMap(({ shardGroups }) => shardGroups)
      set(groups, { endTime: 6n })
    },
    /^policy autogen: no shard group from 0 to 3600000000000$/,
  ],
  [
    'shards that are swapped',
    ({ ids }) => {
      const [one, two] = [ids.get(1n) ?? 0n, ids.get(2n) ?? 0n]
      ids.set(1n, two).set(2n, one)
    },
    /^policy autogen: shard 1 is not mapped into its group$/,
  ],
  [
    'a shard that is not mapped',
    ({ ids }) => void ids.delete(3n),
    /^policy short: shard 3 is not mapped into its group$/,
  ],
])('finds %s', (_, change, expected) => {
  const made = madeFrom(planOf())
  change(made)
  expect(differenceInMade(planOf(), made)).toMatch(expected)
})
