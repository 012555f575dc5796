import { describe, expect, it } from 'vitest'
import { parseShardPath } from '../../src/protocol/index.ts'
import { thrown } from './thrown.ts'

describe('parseShardPath', () => {
  it.each([
    ['db/autogen/1', 'db', 'autogen', 1n],
    ['db\\autogen\\12', 'db', 'autogen', 12n],
    ['my db/größe/18446744073709551615', 'my db', 'größe', 2n ** 64n - 1n],
    ['a.b.00001/r p/10', 'a.b.00001', 'r p', 10n],
    ['odd\\name/rp/5', 'odd\\name', 'rp', 5n],
    ['line\nfeed/rp/0', 'line\nfeed', 'rp', 0n],
  ])('takes %j apart', (path, database, retentionPolicy, shardId) => {
    expect(parseShardPath(path)).toEqual({ database, retentionPolicy, shardId })
  })

  it.each([
    '',
    'db',
    'db/rp',
    'db/1',
    '/rp/1',
    'db//1',
    'db/rp/',
    'db/rp/x',
    'db/rp/-1',
    'db/rp/01',
    'db/rp/1.0',
    'db/rp/18446744073709551616',
    'db/rp/99999999999999999999999',
    '../rp/1',
    'db/../1',
    'a/../rp/1',
    './rp/1',
    'db/rp/1/',
    'db/rp/1\n',
  ])('refuses %j', (path) => {
    expect(thrown(() => parseShardPath(path)).code).toBe('E_PROTOCOL')
  })
})
