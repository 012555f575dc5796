import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { formatEntryName, parseEntryName } from '../../src/tar/names.ts'

describe('parseEntryName', () => {
  it('takes a name apart', () => {
    expect(parseEntryName('wörld db/r p.1/7/000000001-000000001.tsm')).toEqual({
      database: 'wörld db',
      retentionPolicy: 'r p.1',
      shardId: 7n,
      file: '000000001-000000001.tsm',
    })
  })

  it('keeps the path below the shard', () => {
    expect(parseEntryName('db/rp/7/index/0/L0-00000001.tsl').file).toBe('index/0/L0-00000001.tsl')
  })

  it('keeps a shard id of 64 bits exact', () => {
    expect(parseEntryName('db/rp/18446744073709551615/x').shardId).toBe(2n ** 64n - 1n)
  })

  it.each([
    ['', 'expected database/policy/shard/file'],
    ['db/rp/7', 'expected database/policy/shard/file'],
    ['/db/rp/7/x.tsm', 'empty'],
    ['db//7/x.tsm', 'empty'],
    ['db/rp/7/', 'empty'],
    ['db/rp/7/a//b', 'empty'],
    ['./db/rp/7/x.tsm', 'component .'],
    ['db/rp/7/../../../../evil.tsm', 'component ..'],
    ['db/rp/7/.', 'component .'],
    ['../rp/7/x.tsm', 'component ..'],
    ['db\\rp\\7\\x.tsm', 'expected database/policy/shard/file'],
    ['d\\b/rp/7/x.tsm', 'backslash'],
    ['db/rp/7/x\0.tsm', 'control'],
    ['db/rp/7/x\n.tsm', 'control'],
    ['db/rp/7/\u0085', 'control'],
    ['db/rp/7/\ud800', 'control'],
    ['db/rp/seven/x.tsm', 'not a shard id'],
    ['db/rp/-7/x.tsm', 'not a shard id'],
    ['db/rp/07/x.tsm', 'not a shard id'],
    ['db/rp/18446744073709551616/x.tsm', 'not a shard id'],
    ['db/rp/1e3/x.tsm', 'not a shard id'],
    [`db/rp/7/${'x'.repeat(5000)}`, 'longer'],
  ])('refuses %j', (name, why) => {
    expect(() => parseEntryName(name)).toThrow(
      expect.objectContaining({ code: 'E_FORMAT', message: expect.stringContaining(why) }),
    )
  })
})

describe('formatEntryName', () => {
  it.each(['a/b', '', '..', 'a\\b'])('refuses the database name %j', (database) => {
    const path = { database, retentionPolicy: 'rp', shardId: 7n, file: '8/x.tsm' }
    expect(() => formatEntryName(path)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }))
  })

  it('refuses a policy name that reads back as another path', () => {
    const path = { database: 'db', retentionPolicy: 'rp/7', shardId: 8n, file: 'x' }
    expect(() => formatEntryName(path)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }))
  })

  const component = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter((name) => !/[/\\\p{Cc}\p{Cs}]/u.test(name) && name !== '.' && name !== '..')
  test.prop([component, component, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), component])(
    'is undone by parseEntryName',
    (database, retentionPolicy, shardId, file) => {
      const path = { database, retentionPolicy, shardId, file }
      expect(parseEntryName(formatEntryName(path))).toEqual(path)
    },
  )
})
