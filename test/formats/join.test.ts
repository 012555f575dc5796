import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { joinByTime } from '../../src/formats/join.ts'
import type { Block } from '../../src/tsm/values.ts'
import { anyPoints, blockOf, type Points, TYPES, type Value, valueAt } from './blocks.ts'

async function* inBlocks(points: Points, size: number, state = { closed: 0 }) {
  try {
    for (let at = 0; at < points.times.length; at += size) {
      const times = points.times.slice(at, at + size)
      yield blockOf({ type: points.type, times, values: points.values.slice(at, at + size) })
    }
  } finally {
    state.closed += 1
  }
}

/** Rows as they come out, each with the values of its fields. */
async function joined(fields: readonly AsyncIterable<Block>[]) {
  const list: [bigint, Map<number, Value>][] = []
  for await (const { times, cells } of joinByTime(fields)) {
    const rows = Array.from(times, (time): [bigint, Map<number, Value>] => [time, new Map()])
    for (const { field, block, rows: places } of cells) {
      for (let i = 0; i < block.times.length; i += 1) {
        const row = rows[places?.[i] ?? i]
        expect(block.times[i]).toBe(row?.[0])
        row?.[1].set(field, valueAt(block, i))
      }
    }
    list.push(...rows)
  }
  return list
}

describe('joinByTime', () => {
  const field = fc
    .constantFrom(...TYPES)
    .chain((type) => fc.tuple(anyPoints(type), fc.integer({ min: 1, max: 9 })))
  test.prop([fc.array(field, { maxLength: 4 })])(
    'puts values of a time in one row',
    async (fields) => {
      const expected = new Map<bigint, Map<number, Value>>()
      for (const [i, [{ times, values }]] of fields.entries()) {
        for (const [j, time] of times.entries()) {
          const row = expected.get(time) ?? new Map()
          expected.set(time, row.set(i, values[j]))
        }
      }
      const rows = await joined(fields.map(([points, size]) => inBlocks(points, size)))
      expect(rows).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)))
    },
  )

  it('has nothing to look up where all fields have the same times', async () => {
    const times = Array.from({ length: 3000 }, (_, i) => BigInt(i))
    const values = times.map(Number)
    const fields = [0, 1, 2].map(() => inBlocks({ type: 'float', times, values }, 1000))
    const counts: number[] = []
    for await (const { times: at, cells } of joinByTime(fields)) {
      expect(cells.map(({ rows }) => rows)).toEqual([undefined, undefined, undefined])
      counts.push(at.length)
    }
    expect(counts).toEqual([1000, 1000, 1000])
  })

  it('goes past empty blocks', async () => {
    async function* withGaps() {
      const empty = blockOf({ type: 'float', times: [], values: [] })
      yield empty
      yield blockOf({ type: 'float', times: [5n], values: [1] })
      yield empty
    }
    expect(await joined([withGaps()])).toEqual([[5n, new Map([[0, 1]])]])
  })

  it('closes all fields when the consumer stops', async () => {
    const state = { closed: 0 }
    const points = { type: 'float', times: [1n, 2n], values: [1, 2] } as const
    for await (const _ of joinByTime([inBlocks(points, 1, state), inBlocks(points, 1, state)])) {
      break
    }
    expect(state.closed).toBe(2)
  })
})
