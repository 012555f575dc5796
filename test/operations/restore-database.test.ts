import { describe, expect, it } from 'vitest'
import { type Data, encodeData } from '../../src/meta/index.ts'
import { findShardIds, refuseExisting } from '../../src/operations/restore-database.ts'
import type { DatabasePlan } from '../../src/operations/restore-plan.ts'
import { type DirectorySpec, dataOf } from '../helpers/data-directory.ts'

const shards = (...ids: readonly number[]) => ids.map((id, hour) => ({ id, hour }))

function planFor(spec: DirectorySpec, more: Partial<DatabasePlan> = {}): DatabasePlan {
  return {
    ...{ database: 'd', newDatabase: 'x', retentionPolicy: undefined, shards: [] },
    ...{ newRetentionPolicy: undefined, metaBytes: encodeData(dataOf(spec)) },
    ...more,
  }
}

describe('the shards of a database that was made without an answer', () => {
  const plan = planFor({ d: { a: { shards: shards(1, 2) }, b: { shards: shards(3) } } })
  const find = (spec: DirectorySpec, of = plan) => findShardIds(dataOf(spec), of)

  it('are found by policy, times and order', () => {
    const ids = find({
      other: { a: { shards: shards(4) } },
      x: { a: { shards: shards(5, 6) }, b: { shards: shards(7) } },
    })
    expect(ids).toEqual(
      new Map([
        [1n, 5n],
        [2n, 6n],
        [3n, 7n],
      ]),
    )
  })

  it('are found under a new policy name', () => {
    const one = planFor(
      { d: { a: { shards: shards(1) } } },
      { retentionPolicy: 'a', newRetentionPolicy: 'n' },
    )
    expect(find({ x: { n: { shards: shards(9) } } }, one)).toEqual(new Map([[1n, 9n]]))
  })

  it.each([
    ['no database', {}],
    ['another number of shards', { x: { a: { shards: shards(5, 6) } } }],
    ['other policies', { x: { a: { shards: shards(5, 6) }, c: { shards: shards(7) } } }],
    [
      'other times',
      {
        x: {
          a: {
            shards: [
              { id: 5, hour: 4 },
              { id: 6, hour: 5 },
            ],
          },
          b: { shards: shards(7) },
        },
      },
    ],
  ] as const)('are not found in %s', (_, spec) => {
    expect(find(spec)).toBeUndefined()
  })
})

describe('a database that is there', () => {
  const data: Data = dataOf({ x: { a: { shards: [] } } })

  it('is refused, with what else can be done', () => {
    const refuse = (hint?: string) => () =>
      refuseExisting({ newDatabase: 'x' }, { data, name: 'host' }, hint)
    expect(refuse()).toThrow(expect.objectContaining({ code: 'E_TARGET_EXISTS' }))
    expect(refuse('go on')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('go on; else') }),
    )
    refuseExisting({ newDatabase: 'y' }, { data, name: 'host' })
  })
})
