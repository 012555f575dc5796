import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { alignKeys } from '../../src/tsm/align.ts'
import { blockOf, runs } from './arbitraries.ts'
import { all, openBytes, tsmBytes } from './files.ts'

const BLOCKS = [blockOf('float', [1n, 2n], 1)]

async function openWith(keys: readonly string[]) {
  return { file: await openBytes(await tsmBytes(keys.map((key) => [key, BLOCKS] as const))) }
}

const someKeys = fc
  .uniqueArray(fc.nat({ max: 30 }), { minLength: 1, maxLength: 12 })
  .map((numbers) => numbers.map((n) => `key${String(n).padStart(2, '0')}`).sort())

test.prop({ files: fc.array(someKeys, { maxLength: 12 }) }, runs(100))(
  'every key comes once and in order, with the files that have it in theirs',
  async ({ files }) => {
    const aligned = await all(alignKeys(await Promise.all(files.map(openWith))))
    const found = aligned.map(({ key, parts }) => ({
      key: Buffer.from(key).toString(),
      ranks: parts.map(({ rank }) => rank),
    }))
    const expected = [...new Set(files.flat())].sort().map((key) => ({
      key,
      ranks: files.flatMap((keys, rank) => (keys.includes(key) ? [rank] : [])),
    }))
    expect(found).toEqual(expected)
    for (const { parts } of aligned) {
      expect(parts.every(({ key }) => key.entries.length === 1)).toBe(true)
    }
  },
)

it('lets the files go when it is left early', async () => {
  const sources = [await openWith(['a', 'b']), await openWith(['a', 'c'])]
  for await (const { key } of alignKeys(sources)) {
    expect(Buffer.from(key).toString()).toBe('a')
    break
  }
})
