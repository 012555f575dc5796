import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { mergePoints, seriesTimes } from '../../src/operations/merge-points.ts'
import type { MergedKey } from '../../src/tsm/merge.ts'
import type { Block } from '../../src/tsm/values.ts'

/** Values by time, by key. */
type Points = Readonly<Record<string, Readonly<Record<number, number>>>>

const KEYS = ['a#!~#x', 'a#!~#y', 'b#!~#x', 'c,t=1#!~#x']
const rows = fc.dictionary(
  fc.integer({ min: 0, max: 30 }).map(String),
  fc.constantFrom(1, 2, Number.NaN, -0),
  { maxKeys: 20 },
)
const points = fc.dictionary(fc.constantFrom(...KEYS), rows, { maxKeys: KEYS.length })

/** Gives points as merged files would, in blocks of any size. */
async function* keysOf(all: Points, size: number): AsyncGenerator<MergedKey, void, undefined> {
  for (const key of Object.keys(all).sort()) {
    yield { key: Buffer.from(key), type: 'float', blocks: blocksOf(all[key] ?? {}, size) }
  }
}

async function* blocksOf(values: Readonly<Record<number, number>>, size: number) {
  const times = Object.keys(values)
    .map(Number)
    .sort((a, b) => a - b)
  for (let at = 0; at < times.length; at += size) {
    const part = times.slice(at, at + size)
    const block: Block = {
      type: 'float',
      times: BigInt64Array.from(part, BigInt),
      values: Float64Array.from(part, (time) => values[time] ?? 0),
    }
    yield block
  }
}

async function merged(
  backup: Points,
  live: Points,
  sizes: readonly [number, number],
  rows: boolean,
) {
  const times = rows ? seriesTimes(keysOf(live, sizes[1])) : undefined
  const found: string[] = []
  const counts = { added: 0, equal: 0, conflicting: 0 }
  const fields = mergePoints(keysOf(backup, sizes[0]), keysOf(live, sizes[1]), times)
  for await (const field of fields) {
    for await (const { kind, block } of field.parts) {
      if (block.type !== 'float') throw new Error(block.type)
      const { values } = block
      for (const [i, time] of block.times.entries()) {
        found.push(`${kind} ${field.key} ${time} ${values[i]}`)
      }
    }
    for (const name of ['added', 'equal', 'conflicting'] as const)
      counts[name] += field.counts[name]
  }
  return { found: found.sort(), counts }
}

/** What it should be, point by point. */
function expected(backup: Points, live: Points, byRow: boolean) {
  const found: string[] = []
  const counts = { added: 0, equal: 0, conflicting: 0 }
  for (const [key, values] of Object.entries(backup)) {
    const [series] = key.split('#!~#')
    for (const [time, value] of Object.entries(values)) {
      const theirs = live[key]?.[Number(time)]
      const hasRow = Object.entries(live).some(
        ([other, row]) => other.split('#!~#')[0] === series && row[Number(time)] !== undefined,
      )
      const isTaken = theirs !== undefined || (byRow && hasRow)
      const kind = Object.is(theirs, value) ? 'equal' : isTaken ? 'conflicting' : 'added'
      counts[kind] += 1
      if (kind !== 'equal') found.push(`${kind} ${key} ${time} ${value}`)
    }
  }
  return { found: found.sort(), counts }
}

const size = fc.integer({ min: 1, max: 8 })

describe('what a live shard lacks', () => {
  test.prop([points, points, fc.tuple(size, size), fc.boolean()])(
    'is found whatever the blocks',
    async (backup, live, sizes, byRow) => {
      expect(await merged(backup, live, sizes, byRow)).toEqual(expected(backup, live, byRow))
    },
  )
})
