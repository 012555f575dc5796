import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { BOTH, LEFT, RIGHT, SeriesSides } from '../../src/operations/series-sides.ts'

/** Hashes of which many share a slot, the largest and 0 among them. */
const hashes = fc.oneof(
  fc.nat(20).map((n) => n * 2 ** 40),
  fc.nat(20).map((n) => 2 ** 53 - 1 - n),
  fc.maxSafeNat(),
)
const sides = fc.constantFrom(LEFT, RIGHT, BOTH)

describe('SeriesSides', () => {
  test.prop([fc.array(fc.tuple(hashes, sides), { maxLength: 300 })])('is a map', (seen) => {
    const [table, map] = [new SeriesSides(), new Map<number, number>()]
    for (const [hash, side] of seen) {
      map.set(hash, (map.get(hash) ?? 0) | side)
      expect(table.add(hash, side)).toBe(map.get(hash))
    }
    expect(table.size).toBe(map.size)
    for (const [hash] of seen) expect(table.get(hash)).toBe(map.get(hash))
    expect(table.get(0.5 * 2 ** 39)).toBe(0)
  })

  it('keeps what it has while it grows', () => {
    const table = new SeriesSides()
    const hashOf = (n: number) => (n * 2_654_435_761) % 2 ** 45
    for (let n = 0; n < 50_000; n++) table.add(hashOf(n), 1 + (n % 3))
    expect(table.size).toBe(50_000)
    for (let n = 0; n < 50_000; n += 997) expect(table.get(hashOf(n))).toBe(1 + (n % 3))
    expect(table.get(hashOf(50_000))).toBe(0)
  })
})
