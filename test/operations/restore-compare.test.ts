import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { bytesAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { DrillTally } from '../../src/operations/drill-compare.ts'
import {
  addCounts,
  compareShards,
  NO_POINTS,
  type PointCounts,
} from '../../src/operations/restore-compare.ts'
import type { Block } from '../../src/tsm/values.ts'
import { blockOf, type Points, TYPES, type Value } from '../formats/blocks.ts'
import { tsmBytes } from '../tsm/files.ts'

type Keys = Readonly<Record<string, readonly Block[]>>

/** The files of a shard, the first one named 1. */
async function filesOf(...files: readonly Keys[]): Promise<Map<string, RandomAccess>> {
  const named = new Map<string, RandomAccess>()
  for (const [index, keys] of files.entries()) {
    const name = `00000000${index + 1}-000000001.tsm`
    const sorted = Object.entries(keys).sort(([a], [b]) => (a < b ? -1 : 1))
    named.set(name, bytesAccess(await tsmBytes(sorted), name))
  }
  return named
}

function floats(rows: Readonly<Record<number, number>>): Block {
  const times = Object.keys(rows).map(BigInt)
  return blockOf({ type: 'float', times, values: Object.values(rows) })
}

async function countsOf(
  expected: ReadonlyMap<string, RandomAccess>,
  got: ReadonlyMap<string, RandomAccess>,
): Promise<PointCounts> {
  let counts = NO_POINTS
  for await (const key of compareShards(expected, got)) counts = addCounts(counts, key)
  return counts
}

const KEY = 'm#!~#v'
/** Few types of values and times, so that points meet. */
const VALUES: Readonly<Record<Points['type'], readonly [Value, Value]>> = {
  float: [0, -0],
  integer: [1n, 2n],
  unsigned: [1n, 2n],
  boolean: [true, false],
  string: ['a', 'bc'],
}

describe('the comparison of shards', () => {
  it('does not see in which files and blocks points are', async () => {
    const one = await filesOf({ [KEY]: [floats({ 1: 1, 2: 2, 3: 3, 9: 9 })] })
    const many = await filesOf(
      { [KEY]: [floats({ 1: 1 }), floats({ 9: 9 })] },
      { [KEY]: [floats({ 2: 2, 3: 3 })] },
    )
    const same = { expected: 4, got: 4, missing: 0, extra: 0, different: 0 }
    expect(await countsOf(one, many)).toEqual(same)
    expect(await countsOf(many, one)).toEqual(same)
  })

  it('tells what is missing, more and different', async () => {
    const a = await filesOf({ [KEY]: [floats({ 1: 1, 2: 2, 3: 3 })], 'n#!~#v': [floats({ 1: 1 })] })
    const b = await filesOf({ [KEY]: [floats({ 2: 7, 3: 3, 4: 4 })], 'o#!~#v': [floats({ 5: 5 })] })
    expect(await countsOf(a, b)).toEqual({
      expected: 4,
      got: 4,
      missing: 2,
      extra: 2,
      different: 1,
    })
    expect(await countsOf(a, new Map())).toMatchObject({ expected: 4, missing: 4 })
    expect(await countsOf(new Map(), a)).toMatchObject({ got: 4, extra: 4 })
  })

  it('takes a field of another type for another field', async () => {
    const integers = blockOf({ type: 'integer', times: [1n], values: [1n] })
    const found = await countsOf(
      await filesOf({ [KEY]: [floats({ 1: 1 })] }),
      await filesOf({ [KEY]: [integers] }),
    )
    expect(found).toEqual({ expected: 1, got: 1, missing: 1, extra: 1, different: 0 })
  })

  it('stops reading when nobody asks further', async () => {
    const files = await filesOf({ a: [floats({ 1: 1 })], b: [floats({ 1: 1 })] })
    for await (const { key } of compareShards(files, files)) {
      expect(Buffer.from(key).toString()).toBe('a')
      break
    }
  })

  const rows = fc.dictionary(
    fc.integer({ min: 0, max: 12 }).map(String),
    fc.integer({ min: 0, max: 1 }),
  )

  test.prop([fc.constantFrom(...TYPES), rows, rows, fc.integer({ min: 1, max: 5 })])(
    'counts as a comparison of two tables does',
    async (type, a, b, size) => {
      const blocksOf = (table: Readonly<Record<string, number>>) => {
        const times = Object.keys(table)
          .map(Number)
          .sort((x, y) => x - y)
        const blocks: Block[] = []
        for (let at = 0; at < times.length; at += size) {
          const part = times.slice(at, at + size)
          const values = part.map((time) => VALUES[type][table[time] ?? 0] ?? 0)
          blocks.push(blockOf({ type, times: part.map(BigInt), values }))
        }
        return blocks
      }
      const files = async (table: Readonly<Record<string, number>>) =>
        Object.keys(table).length === 0 ? new Map() : await filesOf({ [KEY]: blocksOf(table) })
      const both = Object.keys(a).filter((time) => time in b)
      expect(await countsOf(await files(a), await files(b))).toEqual({
        expected: Object.keys(a).length,
        got: Object.keys(b).length,
        missing: Object.keys(a).length - both.length,
        extra: Object.keys(b).length - both.length,
        different: both.filter((time) => a[time] !== b[time]).length,
      })
    },
  )
})

describe('the tally of a drill', () => {
  const shard = { database: 'd', retentionPolicy: 'r', shardId: 7n }

  it('names the measurements that differ, and what should be counted', async () => {
    const a = await filesOf({
      'm,t=1#!~#v': [floats({ 1: 1, 2: 2 })],
      'm,t=2#!~#v': [floats({ 1: 1 })],
      'n#!~#w': [floats({ 1: 1 })],
    })
    const b = await filesOf({ 'm,t=1#!~#v': [floats({ 1: 1 })], 'n#!~#w': [floats({ 1: 1 })] })
    const tally = new DrillTally()
    expect(await tally.add(shard, compareShards(a, b))).toEqual({
      points: 4,
      differences: [
        {
          ...shard,
          measurement: 'm',
          ...{ expected: 3, got: 1, missing: 2, extra: 0, different: 0 },
        },
      ],
    })
    await tally.add({ ...shard, shardId: 8n }, compareShards(b, b))
    expect(
      tally.counts.fields.map(({ measurement, field, points }) => [measurement, field, points]),
    ).toEqual([
      ['m', 'v', 4],
      ['n', 'w', 2],
    ])
    expect(tally.counts.unnamed).toBe(0)
  })

  it('leaves out what no query can name', async () => {
    const key = Buffer.concat([Buffer.from([0xff]), Buffer.from(KEY)])
    const comparison = async function* () {
      const type = 'float' as const
      yield { key, type, expected: 1, got: 1, missing: 0, extra: 0, different: 0 }
      yield { key: Buffer.from(KEY), type, expected: 0, got: 1, missing: 0, extra: 1, different: 0 }
    }
    const tally = new DrillTally()
    const { differences } = await tally.add(shard, comparison())
    expect(differences).toMatchObject([{ measurement: 'm', extra: 1 }])
    expect([tally.counts.unnamed, tally.counts.fields]).toEqual([1, []])
  })
})
