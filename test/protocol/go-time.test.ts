import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatGoTime, GO_ZERO_TIME, parseGoTime } from '../../src/protocol/index.ts'
import { thrown, valueOrSnapError } from './thrown.ts'

const YEAR_0 = -62_167_219_200_000_000_000n
const YEAR_10000 = 253_402_300_800_000_000_000n

/** Text and nanoseconds as Go's time package pairs them. */
const PAIRS: readonly (readonly [string, bigint])[] = [
  ['0001-01-01T00:00:00Z', GO_ZERO_TIME],
  ['1970-01-01T00:00:00Z', 0n],
  ['1970-01-01T00:00:00.000000001Z', 1n],
  ['1969-12-31T23:59:59.999999999Z', -1n],
  ['2015-12-24T08:12:23.5Z', 1_450_944_743_500_000_000n],
  ['1677-09-21T00:12:43.145224192Z', -(2n ** 63n)],
  ['2262-04-11T23:47:16.854775807Z', 2n ** 63n - 1n],
  ['0000-01-01T00:00:00Z', YEAR_0],
  ['9999-12-31T23:59:59.999999999Z', YEAR_10000 - 1n],
]

describe('formatGoTime', () => {
  it.each(PAIRS)('writes %s', (text, time) => {
    expect(formatGoTime(time)).toBe(text)
  })

  it.each([YEAR_0 - 1n, YEAR_10000, 2n ** 80n, -(2n ** 80n)])('refuses the year of %s', (time) => {
    expect(thrown(() => formatGoTime(time)).code).toBe('E_USAGE')
  })
})

describe('parseGoTime', () => {
  it.each(PAIRS)('reads %s', (text, time) => {
    expect(parseGoTime(text)).toBe(time)
  })

  it.each([
    ['2020-06-01T12:00:00+02:00', '2020-06-01T10:00:00Z'],
    ['2020-06-01T00:00:00.25-09:30', '2020-06-01T09:30:00.25Z'],
    ['2020-06-01T12:00:00-00:00', '2020-06-01T12:00:00Z'],
    ['0000-12-31T22:59:00-01:01', '0001-01-01T00:00:00Z'],
  ])('counts the offset of %s', (text, same) => {
    expect(parseGoTime(text)).toBe(parseGoTime(same))
  })

  it('drops digits after the ninth and takes a comma for a point', () => {
    expect(parseGoTime('1970-01-01T00:00:00,1234567899Z')).toBe(123_456_789n)
  })

  it('reads what it writes, anywhere in range', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: YEAR_0, max: YEAR_10000 - 1n }), (time) => {
        expect(parseGoTime(formatGoTime(time))).toBe(time)
      }),
    )
  })

  it.each([
    '',
    '2020-06-01',
    '2020-06-01 12:00:00Z',
    '2020-06-01T12:00:00',
    '2020-06-01t12:00:00z',
    '2020-6-1T12:00:00Z',
    '2020-02-30T12:00:00Z',
    '2021-02-29T12:00:00Z',
    '2020-00-01T12:00:00Z',
    '2020-13-01T12:00:00Z',
    '2020-06-01T24:00:00Z',
    '2020-06-01T12:60:00Z',
    '2020-12-31T23:59:60Z',
    '2020-06-01T12:00:00.Z',
    '2020-06-01T12:00:00+2400',
    '2020-06-01T12:00:00+24:00',
    '2020-06-01T12:00:00+02:60',
    '10000-01-01T00:00:00Z',
    '-001-01-01T00:00:00Z',
    '2020-06-01T12:00:00Z\n',
  ])('refuses %j', (text) => {
    expect(thrown(() => parseGoTime(text)).code).toBe('E_FORMAT')
  })

  it('refuses or reads any text', () => {
    const piece = fc.constantFrom('2020', '-', '06', 'T', ':', '12', 'Z', '+', '.', '9', '٣')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
        valueOrSnapError(() => parseGoTime(pieces.join('')))
      }),
    )
  })
})
