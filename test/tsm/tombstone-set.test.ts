import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { mergeRanges } from '../../src/tsm/time-ranges.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { readTombstones, TombstoneSet } from '../../src/tsm/tombstone-set.ts'
import { inPieces } from './files.ts'

const range = fc
  .tuple(fc.bigInt(-50n, 50n), fc.bigInt(0n, 20n))
  .map(([minTime, length]) => ({ minTime, maxTime: minTime + length }))
const entry = fc.tuple(fc.constantFrom('a', 'ab', 'b'), fc.boolean(), range)

test.prop({ entries: fc.array(entry, { maxLength: 120 }) })(
  'knows what is deleted of a key',
  ({ entries }) => {
    const set = new TombstoneSet()
    for (const [key, prefix, range] of entries) set.add({ key: Buffer.from(key), prefix, ...range })
    for (const key of ['a', 'ab', 'abc', 'b', 'c', '']) {
      const meant = entries.filter(([name, prefix]) =>
        prefix ? key.startsWith(name) : key === name,
      )
      expect(set.rangesOf(Buffer.from(key))).toEqual(mergeRanges(meant.map(([, , range]) => range)))
    }
  },
)

it('reads a tombstone file', async () => {
  const bytes = encodeTombstones([
    { key: Buffer.from('k\xff', 'latin1'), minTime: 1n, maxTime: 2n },
  ])
  const set = await readTombstones(inPieces(bytes, 5), 'x')
  expect(set.rangesOf(Buffer.from('k\xff', 'latin1'))).toEqual([{ minTime: 1n, maxTime: 2n }])
  expect(set.rangesOf(Buffer.from('k'))).toEqual([])
})
