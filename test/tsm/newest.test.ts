import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { newestTsm } from '../../src/tsm/newest.ts'
import { TombstoneSet } from '../../src/tsm/tombstone-set.ts'
import { blockOf, runs, someTimes } from './arbitraries.ts'
import { openBytes, tsmBytes } from './files.ts'
import { collect } from './fixtures.ts'

const KEYS = ['a', 'b']
const time = fc.bigInt(-220n, 220n)
const file = fc.record({
  columns: fc.array(fc.tuple(fc.constantFrom(...KEYS), someTimes(50)), {
    minLength: 1,
    maxLength: 2,
  }),
  size: fc.integer({ min: 1, max: 12 }),
  tombstones: fc.array(fc.tuple(fc.constantFrom(...KEYS), time, time), { maxLength: 2 }),
})

test.prop(
  {
    files: fc.array(file, { minLength: 1, maxLength: 4 }),
    count: fc.integer({ min: 0, max: 40 }),
    end: fc.option(time, { nil: undefined }),
  },
  runs(200),
)('the newest points are the last ones of all', async ({ files, count, end }) => {
  const sources = []
  for (const [rank, { columns, size, tombstones }] of files.entries()) {
    const set = new TombstoneSet()
    for (const [key, minTime, maxTime] of tombstones) {
      set.add({ key: Buffer.from(key), minTime, maxTime })
    }
    const keys = [...new Map(columns)].sort(([a], [b]) => (a < b ? -1 : 1))
    const written = keys.map(([key, times]) => {
      const parts = Array.from({ length: Math.ceil(times.length / size) }, (_, i) =>
        blockOf('float', times.slice(i * size, (i + 1) * size), rank * 100 + i),
      )
      return [key, parts] as const
    })
    sources.push({ file: await openBytes(await tsmBytes(written)), tombstones: set })
  }
  const all = [...(await collect(mergeTsm(sources, { end })))]
  const expected = KEYS.flatMap((key) => {
    const points = all.filter(([name]) => name.startsWith(`${key} `))
    return count === 0 ? [] : points.slice(-count)
  })
  const newest = await collect(newestTsm(sources, { end }, () => count))
  expect([...newest]).toEqual(expected)
})
