import { expect, it } from 'vitest'
import { type SetScope, scopeOf } from '../../src/operations/set-scope.ts'

const range = (start: bigint, end: bigint) => ({ start, end })
const everything: SetScope = {
  kind: 'full',
  selection: { databases: [], excludeDatabases: ['_internal'] },
}

it('is what was asked for, of a source that holds everything', () => {
  const selection = {
    databases: ['a'],
    retentionPolicy: 'rp',
    shards: [1n],
    excludeDatabases: ['x'],
  }
  expect(scopeOf({ selection, since: 5n }, undefined)).toEqual({
    kind: 'full',
    selection: {
      databases: ['a'],
      retentionPolicy: 'rp',
      shardIds: [1n],
      excludeDatabases: ['x'],
      since: 5n,
    },
  })
})

it('is a range when points are chosen', () => {
  const selection = {}
  const bounded = scopeOf({ selection, range: range(1n, 2n) }, undefined)
  expect(bounded).toMatchObject({ kind: 'range', range: { start: 1n, end: 2n, exact: true } })
  const series = { measurements: ['m'], tags: [{ key: 'k', value: 'v' }] }
  const chosen = scopeOf({ selection, series }, undefined)
  expect(chosen).toMatchObject({ kind: 'range', selection: series })
  expect(chosen.range).toBeUndefined()
  expect(scopeOf({ selection, series: { measurements: [], tags: [] } }, everything).kind).toBe(
    'full',
  )
})

it('is never more than the source holds', () => {
  const source: SetScope = {
    kind: 'range',
    range: { start: 10n, end: 20n, exact: true },
    selection: {
      databases: ['a', 'b'],
      retentionPolicy: 'rp',
      shardIds: [7n],
      excludeDatabases: ['_internal', 'old'],
      measurements: ['m'],
      tags: [
        { key: 'host', value: 'x' },
        { key: 'zone', value: 'y' },
      ],
    },
  }
  expect(scopeOf({ selection: { databases: [] } }, source)).toEqual({
    kind: 'range',
    range: source.range,
    selection: source.selection,
  })
  const narrower = scopeOf(
    {
      selection: { databases: ['a'], excludeDatabases: ['_internal'] },
      range: range(15n, 30n),
      series: { tags: [{ key: 'host', value: 'z' }] },
    },
    source,
  )
  expect(narrower).toMatchObject({
    range: { start: 15n, end: 20n },
    selection: {
      databases: ['a'],
      tags: [
        { key: 'host', value: 'z' },
        { key: 'zone', value: 'y' },
      ],
    },
  })
})
