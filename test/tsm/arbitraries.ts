import { fc } from '@fast-check/vitest'
import { type Block, type FieldType, stringColumn } from '../../src/tsm/values.ts'

/** How often a property is tried: `SLOW=1` tries it many times more. */
export function runs(numRuns: number): { numRuns: number } {
  return { numRuns: process.env['SLOW'] === '1' ? numRuns * 50 : numRuns }
}

/** The types of fields. */
export const TYPES: readonly FieldType[] = ['float', 'integer', 'boolean', 'string', 'unsigned']

/** Strictly ascending times from a small range, so that two lists have some in common. */
export const someTimes = (maxLength: number) =>
  fc
    .uniqueArray(fc.bigInt(-200n, 200n), { minLength: 1, maxLength })
    .map((times) => times.sort((a, b) => Number(a - b)))

/** A block of `type` with these times; its values are a function of `seed` and the index. */
export function blockOf(type: FieldType, list: readonly bigint[], seed: number): Block {
  const times = BigInt64Array.from(list)
  const numbers = list.map((_, i) => (seed * 31 + i * 7) % 1000)
  switch (type) {
    case 'float':
      return { type, times, values: Float64Array.from(numbers, (n) => n / 8 - 20) }
    case 'integer':
      return { type, times, values: BigInt64Array.from(numbers, (n) => BigInt(n) - 500n) }
    case 'unsigned':
      return {
        type,
        times,
        values: BigUint64Array.from(numbers, (n) => 2n ** 64n - 1n - BigInt(n)),
      }
    case 'boolean':
      return { type, times, values: Uint8Array.from(numbers, (n) => n % 2) }
    case 'string':
      return {
        type,
        times,
        values: stringColumn(numbers.map((n) => Buffer.from('x'.repeat(n % 40) + n))),
      }
  }
}

/** Any block of up to `maxLength` points. */
export const someBlock = (maxLength: number) =>
  fc
    .tuple(fc.constantFrom(...TYPES), someTimes(maxLength), fc.nat({ max: 1000 }))
    .map(([type, times, seed]) => blockOf(type, times, seed))
