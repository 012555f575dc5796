import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { parseDeadline, parseDuration, parseTime } from '../../src/cli/times.ts'
import { SnapError } from '../../src/errors.ts'
import { formatGoTime } from '../../src/protocol/go-time.ts'

const NOW = Date.UTC(2026, 0, 31)
const time = (text: string) => parseTime(text, '--since', NOW)

describe('parseTime', () => {
  it.each([
    ['2026-01-31T00:00:00Z', 1769817600000000000n],
    ['2026-01-31T01:30:00+01:30', 1769817600000000000n],
    ['1970-01-01T00:00:00.000000001Z', 1n],
    ['1969-12-31T23:59:59.999999999Z', -1n],
    ['2262-04-11T23:47:16.854775806Z', 2n ** 63n - 2n],
    ['1677-09-21T00:12:43.145224194Z', -(2n ** 63n) + 2n],
  ])('reads %s', (text, nanoseconds) => {
    expect(time(text)).toBe(nanoseconds)
  })

  it.each([
    ['36h', 36n * 3_600_000_000_000n],
    ['7d', 7n * 86_400_000_000_000n],
    ['1h30m', 5_400_000_000_000n],
    ['0.5s', 500_000_000n],
    ['1ns', 1n],
    ['2w', 14n * 86_400_000_000_000n],
    ['0s', 0n],
  ])('reads %s as that long before now', (text, back) => {
    expect(time(text)).toBe(BigInt(NOW) * 1_000_000n - back)
  })

  it.each([
    '',
    'yesterday',
    '2026-01-31',
    '2026-02-30T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31 00:00:00',
    '36',
    '-36h',
    '36h ago',
    '2263-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '999999999999999w',
    `1h${'0'.repeat(100)}`,
  ])('refuses %j, naming flag and text', (text) => {
    expect(() => time(text)).toThrow(SnapError)
    expect(() => time(text)).toThrow(
      `--since: expected a time as 2026-01-31T00:00:00Z or a duration back from now as 36h, got ${JSON.stringify(text)}`,
    )
  })

  it('says which times can be stored when one cannot', () => {
    expect(() => time('2263-01-01T00:00:00Z')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('2262-04-11') }),
    )
  })

  test.prop([fc.bigInt({ min: -(2n ** 63n) + 2n, max: 2n ** 63n - 2n })])(
    'reads back every time that can be stored',
    (nanoseconds) => {
      expect(time(formatGoTime(nanoseconds))).toBe(nanoseconds)
    },
  )

  test.prop([fc.string()])('ends every text in a time or a usage error', (text) => {
    try {
      expect(typeof time(text)).toBe('bigint')
    } catch (error) {
      expect(error).toMatchObject({ code: 'E_USAGE' })
    }
  })
})

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['250us', 0.25],
    ['250µs', 0.25],
  ])('reads %s as milliseconds', (text, milliseconds) => {
    expect(parseDuration(text, '--idle-timeout')).toBe(milliseconds)
  })

  it.each(['', '0s', '10', 's', '1h 30m', '-1s', '1x', '9999999999999d'])('refuses %j', (text) => {
    expect(() => parseDuration(text, '--idle-timeout')).toThrow(
      `--idle-timeout: expected a duration as 500ms, 10s, 1h30m or 7d, got ${JSON.stringify(text)}`,
    )
  })
})

describe('parseDeadline', () => {
  it('keeps what a timer can hold, in whole milliseconds', () => {
    expect(parseDeadline('24d', '--idle-timeout')).toBe(24 * 86_400_000)
    expect(parseDeadline('1ns', '--idle-timeout')).toBe(1)
  })

  it('refuses what a timer would take for nothing', () => {
    expect(() => parseDeadline('25d', '--idle-timeout')).toThrow('at most 24d')
  })
})
