import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import type { FlagLookup } from '../../src/cli/go-flags.ts'
import { normalizeGoFlags } from '../../src/cli/go-flags.ts'

const VALUES = [
  '--host',
  '--db',
  '--rp',
  '--shard',
  '--since',
  '--start',
  '--end',
  '--newdb',
  '--newrp',
]
const PLACES = ['--data-dir', '--wal-dir', '--meta-dir', '--idle-timeout', '-o']
const SWITCHES = ['--json', '--quiet', '--skip-errors', '--merge', '-v']
const lookup: FlagLookup = (flag) => {
  if (VALUES.includes(flag) || PLACES.includes(flag)) return 'value'
  return SWITCHES.includes(flag) ? 'switch' : undefined
}
const normalize = (line: string) => normalizeGoFlags(line.split(' '), lookup).join(' ')

describe('normalizeGoFlags', () => {
  it.each([
    ['-portable -database telegraf /backup', '--db telegraf /backup'],
    [
      '-portable -host db1:8088 -db a -rp b -shard 7 /b',
      '--host db1:8088 --db a --rp b --shard 7 /b',
    ],
    ['-portable=true -db=a /b', '--db a /b'],
    ['-portable=false /b', '/b'],
    [
      '-retention=autogen -since 2026-01-01T00:00:00Z /b',
      '--rp autogen --since 2026-01-01T00:00:00Z /b',
    ],
    ['-start 1h -end 2h -skip-errors /b', '--start 1h --end 2h --skip-errors /b'],
    ['-skip-errors=1 -stop=2h', '--skip-errors --end 2h'],
    ['-skip-errors=F /b', '/b'],
    ['-online -newdb n -newrp m -db d /b', '--newdb n --newrp m --db d /b'],
    ['-metadir /m -datadir /d -waldir /w /b', '--meta-dir /m --data-dir /d --wal-dir /w /b'],
    [
      '--portable --database=d --retention r --metadir=/m --stop 1h /b',
      '--db d --rp r --meta-dir /m --end 1h /b',
    ],
    ['-help', '--help'],
  ])('rewrites %s', (line, expected) => {
    expect(normalize(line)).toBe(expected)
  })

  it('takes the next word as a value whatever it looks like, as Go does', () => {
    expect(normalize('-db -portable /b')).toBe('--db -portable /b')
    expect(normalize('-db=-rp /b')).toBe('--db -rp /b')
    expect(normalize('-db -- /b')).toBe('--db -- /b')
    expect(normalizeGoFlags(['-db=a=b\nc'], lookup)).toEqual(['--db', 'a=b\nc'])
  })

  it('leaves a flag without its value to be refused', () => {
    expect(normalize('/b -db')).toBe('/b --db')
  })

  it('takes an empty value for none where influxd does', () => {
    expect(normalizeGoFlags(['-db', '', '-rp=', '-since', '', '/b'], lookup)).toEqual(['/b'])
    expect(normalizeGoFlags(['-host', '', '/b'], lookup)).toEqual(['--host', '', '/b'])
    expect(normalizeGoFlags(['--db', '', '/b'], lookup)).toEqual(['--db', '', '/b'])
  })

  it('leaves short flags, unknown flags and what follows -- alone', () => {
    const lines = [
      '-v /b',
      '-o -db /b',
      '-jobs 4',
      '--nonsense -x',
      '-',
      '-1h',
      '-- -portable -db x',
    ]
    for (const line of lines) expect(normalize(line)).toBe(line)
  })

  it('leaves the values of other flags alone', () => {
    expect(normalize('--idle-timeout -portable --json -portable')).toBe(
      '--idle-timeout -portable --json',
    )
  })

  it('keeps a flag that a command has itself', () => {
    const own: FlagLookup = (flag) => (flag === '--retention' ? 'value' : undefined)
    expect(normalizeGoFlags(['--retention', '7d'], own)).toEqual(['--retention', '7d'])
  })

  it('refuses a switch that is neither on nor off', () => {
    expect(() => normalize('-portable=maybe /b')).toThrow(
      expect.objectContaining({
        code: 'E_USAGE',
        message: '-portable: expected true or false, got "maybe"',
      }),
    )
  })

  const word = fc.oneof(fc.string(), fc.constantFrom('-db', '-portable', '--database', '-x', '--'))
  const documented = fc.oneof(
    fc.tuple(fc.constantFrom(...VALUES, ...PLACES), word),
    fc.tuple(fc.constantFrom(...VALUES).chain((flag) => word.map((value) => `${flag}=${value}`))),
    fc.tuple(fc.constantFrom(...SWITCHES)),
    fc.tuple(fc.string().filter((text) => !text.startsWith('-'))),
  )

  test.prop([fc.array(documented), fc.array(word)])(
    'passes a documented line unchanged, and all that follows --',
    (parts, rest) => {
      const line = [...parts.flat(), '--', ...rest]
      expect(normalizeGoFlags(line, lookup)).toEqual(line)
    },
  )

  test.prop([fc.array(word)])('gives the same for what it has rewritten', (words) => {
    const once = normalizeGoFlags(words, lookup)
    expect(normalizeGoFlags(once, lookup)).toEqual(once)
  })
})
