import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import {
  oneOf,
  parseHost,
  parseNewName,
  parsePercent,
  parseRate,
  parseShardId,
  parseSize,
  parseText,
  wholeNumber,
} from '../../src/cli/values.ts'

const usage = (message: string) => expect.objectContaining({ code: 'E_USAGE', message })

describe('parseSize', () => {
  it.each([
    ['1', 1],
    ['512k', 524_288],
    ['10M', 10_485_760],
    ['64MiB', 67_108_864],
    ['64 MiB', 67_108_864],
    ['64MB', 64_000_000],
    ['1.5GiB', 1_610_612_736],
    ['100B', 100],
    ['2T', 2_199_023_255_552],
  ])('reads %s', (text, bytes) => {
    expect(parseSize(text, '--x')).toBe(bytes)
  })

  it.each(['', '0', '-1', '1X', '1iB', 'MiB', '1e3', '999999999999999P', '10M/s'])(
    'refuses %j',
    (text) => {
      expect(() => parseSize(text, '--x')).toThrow(
        usage(`--x: expected a size as 64MiB, 10M or 512k, got ${JSON.stringify(text)}`),
      )
    },
  )
})

describe('parseRate', () => {
  it('reads a size with or without /s', () => {
    expect(parseRate('10MiB/s', '--limit-rate')).toBe(10_485_760)
    expect(parseRate('500k', '--limit-rate')).toBe(512_000)
  })

  it('refuses anything else', () => {
    expect(() => parseRate('10/m', '--limit-rate')).toThrow('--limit-rate: expected a rate as')
  })
})

describe('parseShardId', () => {
  it('is exact beyond 2^53', () => {
    expect(parseShardId('18446744073709551615', '--shard')).toBe(18446744073709551615n)
    expect(parseShardId('9007199254740993', '--shard')).toBe(9007199254740993n)
  })

  it.each(['', '0', '-1', '1.0', '0x10', '18446744073709551616', '1 '])('refuses %j', (text) => {
    expect(() => parseShardId(text, '--shard')).toThrow('--shard: expected a shard id')
  })
})

describe('wholeNumber', () => {
  const parse = wholeNumber(1, 64)

  it('keeps to its bounds', () => {
    expect([parse('1', '--jobs'), parse('64', '--jobs')]).toEqual([1, 64])
    for (const text of ['0', '65', '', '1.5', 'x', '-1', '1'.repeat(400)])
      expect(() => parse(text, '--jobs')).toThrow('--jobs: expected a whole number from 1 to 64')
  })
})

describe('parsePercent', () => {
  it('reads a share of a hundred', () => {
    expect([parsePercent('10%', '--subset'), parsePercent('0.5%', '--subset')]).toEqual([10, 0.5])
    for (const text of ['', '0%', '101%', '10', '-1%', '1e1%', 'x%'])
      expect(() => parsePercent(text, '--subset')).toThrow('--subset: expected a share from 0%')
  })
})

describe('oneOf', () => {
  it('takes its words and names them', () => {
    const parse = oneOf('gzip', 'none')
    expect(parse('none', '--compression')).toBe('none')
    expect(() => parse('zstd', '--compression')).toThrow(
      usage('--compression: expected gzip or none, got "zstd"'),
    )
  })
})

describe('parseNewName', () => {
  it('takes what a directory can be called', () => {
    expect(parseNewName('a b.ü', '--newdb')).toBe('a b.ü')
    for (const name of ['', '.', '..', 'a/b', 'a\\b', 'a\nb', '\ud800']) {
      expect(() => parseNewName(name, '--newdb')).toThrow('a name that a directory can have')
    }
  })
})

describe('parseText', () => {
  it('refuses nothing but nothing', () => {
    expect(parseText(' a,b ', '--db')).toBe(' a,b ')
    expect(() => parseText('', '--db')).toThrow(usage('--db: expected a value, got ""'))
  })
})

describe('parseHost', () => {
  it.each([
    ['db1:8088', 'db1:8088'],
    ['db1', 'db1:8088'],
    ['10.0.0.1:9000', '10.0.0.1:9000'],
    ['[::1]:8089', '[::1]:8089'],
    ['::1', '[::1]:8088'],
    ['[fe80::1]', '[fe80::1]:8088'],
  ])('reads %s', (text, host) => {
    expect(parseHost(text, '--host')).toBe(host)
  })

  it.each(['', 'db1:', 'db1:x', 'db1:65536', 'a b', '[x]:1'])('refuses %j', (text) => {
    expect(() => parseHost(text, '--host')).toThrow(
      usage(`--host: expected host:port, got ${JSON.stringify(text)}`),
    )
  })

  it('says that a URL is the wrong thing', () => {
    expect(() => parseHost('http://db1:8086', '--host')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('not HTTP') }),
    )
  })

  test.prop([fc.string()])('ends every text in an address or a usage error', (text) => {
    try {
      expect(parseHost(text, '--host')).toMatch(/:\d+$/)
    } catch (error) {
      expect(error).toMatchObject({ code: 'E_USAGE' })
    }
  })
})
