import { readdir } from 'node:fs/promises'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { mergeTsm } from '../../src/tsm/merge.ts'
import type { TsmFile } from '../../src/tsm/reader.ts'
import { type RewriteFilter, rewriteTsm } from '../../src/tsm/rewrite.ts'
import { TombstoneSet } from '../../src/tsm/tombstone-set.ts'
import { type Block, MAX_TIME, MIN_TIME } from '../../src/tsm/values.ts'
import { blockOf, runs, someTimes, TYPES } from './arbitraries.ts'
import { memorySink, openBytes, tsmBytes } from './files.ts'
import {
  closeAll,
  collect,
  FIXTURES,
  fixtureDirectory,
  openFixture,
  type Value,
  valueAt,
} from './fixtures.ts'

async function rewritten(file: TsmFile, filter: RewriteFilter) {
  const { sink, bytes } = memorySink()
  const result = await rewriteTsm(file, sink, filter)
  expect(result.size).toBe(bytes().length)
  const points = new Map<string, Value>()
  if (result.size > 0) {
    const again = await openBytes(bytes())
    for (const [name, value] of await collect(mergeTsm([{ file: again }]))) points.set(name, value)
  }
  return { result, points, bytes: bytes() }
}

const time = fc.bigInt(-220n, 220n)
const tombstone = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), time, time)

test.prop(
  {
    columns: fc.array(fc.tuple(fc.constantFrom(...TYPES), someTimes(60)), {
      minLength: 1,
      maxLength: 4,
    }),
    tombstones: fc.array(tombstone, { maxLength: 5 }),
    start: fc.option(time, { nil: undefined }),
    end: fc.option(time, { nil: undefined }),
    unwanted: fc.constantFrom('', 'a', 'b'),
  },
  runs(200),
)(
  'writes exactly the points that are wanted',
  async ({ columns, tombstones, start, end, unwanted }) => {
    // several blocks for each key
    const keys = columns.map(([type, times], i) => {
      const block = blockOf(type, times, i)
      const cuts = [times.slice(0, 7), times.slice(7, 30), times.slice(30)].filter(
        ({ length }) => length > 0,
      )
      return { name: 'abcd'[i] ?? '', block, blocks: cuts.map((list) => blockOf(type, list, i)) }
    })
    const set = new TombstoneSet()
    for (const [key, minTime, maxTime] of tombstones)
      set.add({ key: Buffer.from(key), minTime, maxTime })
    const file = await openBytes(await tsmBytes(keys.map(({ name, blocks }) => [name, blocks])))
    const keepKey = (key: Uint8Array) => Buffer.from(key).toString() !== unwanted
    const { result, points } = await rewritten(file, { tombstones: set, start, end, keepKey })

    const expected = new Map<string, Value>()
    for (const { name, blocks } of keys) {
      if (name === unwanted) continue
      for (const block of blocks) {
        block.times.forEach((t, i) => {
          const gone = tombstones.some(([key, min, max]) => key === name && min <= t && t <= max)
          const outside = t < (start ?? MIN_TIME) || t > (end ?? MAX_TIME)
          if (!gone && !outside) expected.set(`${name} ${t}`, valueAt(block, i))
        })
      }
    }
    expect(points).toEqual(expected)
    const { copied, encoded, dropped, blocks } = result
    expect(copied + encoded).toBe(blocks)
    expect(blocks + dropped).toBe(keys.reduce((sum, key) => sum + key.blocks.length, 0))
  },
)

describe('a file of which everything is wanted', () => {
  it.each(FIXTURES)('comes out byte for byte: %s', async (name) => {
    const sources = await openFixture(name)
    for (const { file } of sources) {
      const original = await file.source.read(0, file.source.size)
      const { result, bytes } = await rewritten(file, {})
      expect(bytes.equals(original)).toBe(true)
      expect([result.encoded, result.dropped]).toEqual([0, 0])
    }
    await closeAll(sources)
  })
})

describe('a file', () => {
  const block = blockOf(
    'float',
    Array.from({ length: 10 }, (_, i) => BigInt(i)),
    1,
  )
  const open = async (...blocks: Block[]) => openBytes(await tsmBytes([['k', blocks]]))

  it('of which nothing is wanted is not written', async () => {
    const { result, bytes } = await rewritten(await open(block), { start: 100n })
    expect(result).toMatchObject({ size: 0, keys: 0, dropped: 1 })
    expect(bytes.length).toBe(0)
  })

  it('drops a block of which a wanted time holds no point', async () => {
    const gap = blockOf('float', [0n, 9n], 1)
    expect((await rewritten(await open(gap), { start: 3n, end: 5n })).result.dropped).toBe(1)
  })

  it('is re-encoded only where a range cuts it', async () => {
    const blocks = [0n, 1n, 2n].map((n) => blockOf('float', [n * 10n, n * 10n + 5n], 1))
    const { result } = await rewritten(await open(...blocks), { start: 5n, end: 15n })
    expect(result).toMatchObject({ copied: 1, encoded: 1, dropped: 1 })
  })
})

it('applied tombstones leave what influxd shows of the file alone', async () => {
  const sources = await openFixture('deletes')
  expect(
    (await readdir(fixtureDirectory('deletes'))).filter((n) => n.endsWith('.tombstone')).length,
  ).toBe(3)
  for (const { file, tombstones } of sources) {
    const { points } = await rewritten(file, { tombstones })
    expect(points).toEqual(await collect(mergeTsm([{ file, tombstones }])))
  }
  const applied: { file: TsmFile }[] = []
  for (const { file, tombstones } of sources) {
    const { bytes } = await rewritten(file, { tombstones })
    if (bytes.length > 0) applied.push({ file: await openBytes(bytes) })
  }
  expect(await collect(mergeTsm(applied))).toEqual(await collect(mergeTsm(sources)))
  await closeAll(sources)
})
