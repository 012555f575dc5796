import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { formatTsmFileName, parseTsmFileName, tombstoneFileName } from '../../src/tsm/file-name.ts'

const number = fc.integer({ min: 0, max: 2 ** 32 - 1 })

test.prop({ generation: number, sequence: number })('gives back any two numbers', (name) => {
  expect(parseTsmFileName(formatTsmFileName(name))).toEqual(name)
})

describe('names', () => {
  it.each([
    ['000000001-000000001.tsm', 1, 1],
    ['1000000001-000000002.tsm', 1_000_000_001, 2],
    ['000001-01.tsm', 1, 1],
    ['4294967295-0.tsm', 4_294_967_295, 0],
  ])('%s is generation %d, sequence %d', (name, generation, sequence) => {
    expect(parseTsmFileName(name)).toEqual({ generation, sequence })
  })

  it.each([
    '000000001.tsm',
    '000000001-000000001.tsm.tmp',
    '000000001-000000001.tombstone',
    '4294967296-000000001.tsm',
    '000000001-4294967296.tsm',
    'a-b.tsm',
    'x/000000001-000000001.tsm',
    '-1-000000001.tsm',
    '',
  ])('%s is none', (name) => {
    expect(parseTsmFileName(name)).toBeUndefined()
  })

  it('have nine digits, more where needed', () => {
    expect(formatTsmFileName({ generation: 12, sequence: 3 })).toBe('000000012-000000003.tsm')
    expect(formatTsmFileName({ generation: 1e9, sequence: 3 })).toBe('1000000000-000000003.tsm')
    expect(() => formatTsmFileName({ generation: 2 ** 32, sequence: 1 })).toThrow('32 bits')
    expect(() => formatTsmFileName({ generation: 1, sequence: -1 })).toThrow('32 bits')
  })

  it('of tombstones are those of their files', () => {
    expect(tombstoneFileName('000000012-000000003.tsm')).toBe('000000012-000000003.tombstone')
  })
})
