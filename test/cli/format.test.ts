import { describe, expect, it } from 'vitest'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumberOf,
  formatRate,
} from '../../src/cli/format.ts'

describe('what is printed with units', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1048524, '1023.9 KiB'],
    [1048575, '1.0 MiB'],
    [12_897_485, '12.3 MiB'],
    [2 ** 40, '1.0 TiB'],
    [2 ** 62, '4096.0 PiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it.each([
    [0, '0ms'],
    [999.4, '999ms'],
    [999.6, '1.0s'],
    [12_345, '12.3s'],
    [59_949, '59.9s'],
    [59_950, '1m 00s'],
    [65_000, '1m 05s'],
    [3_599_600, '1h 00m'],
    [7_380_000, '2h 03m'],
    [100 * 3_600_000, '4d 04h'],
  ])('%d milliseconds are %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text)
  })

  it('counts, numbers and rates', () => {
    expect(formatCount(1_234_567)).toBe('1,234,567')
    expect(formatCount(18446744073709551615n)).toBe('18,446,744,073,709,551,615')
    expect(formatNumberOf(1, 'shard')).toBe('1 shard')
    expect(formatNumberOf(0, 'shard')).toBe('0 shards')
    expect(formatNumberOf(1200, 'shard')).toBe('1,200 shards')
    expect(formatRate(1536)).toBe('1.5 KiB/s')
  })
})
