import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { catalogPieces } from '../../src/portable/catalog.ts'
import { clearCatalog } from '../../src/portable/clear-catalog.ts'
import type { Catalog } from '../../src/portable/index.ts'
import { decodeCatalog, encodeCatalog } from '../../src/portable/index.ts'
import { CLUSTER_ID, catalog, sha256Of } from './samples.ts'

const SET = '20240102T030405Z'
const HASH = sha256Of(Buffer.from('x'))

const FULL: Catalog = catalog(SET, {
  kind: 'range',
  range: { start: -1n, end: 9_223_372_036_854_775_806n, exact: true },
  parent: '20240101T000000Z',
  selection: {
    ...{
      databases: ['db'],
      retentionPolicy: 'rp',
      shardIds: [1n],
      excludeDatabases: ['_internal'],
    },
    since: 0n,
  },
  skipped: [{ shardId: 7n, database: 'db', retentionPolicy: 'rp', reason: 'dropped', lost: false }],
  durationMs: 1234,
  shards: [
    {
      ...{ shardId: 1n, database: 'db', retentionPolicy: 'rp', start: 0n, end: 5n },
      ...{ archive: `${SET}.s1.tar.gz`, tarSize: 9, complete: true },
      data: { series: 3, points: 12, exact: true },
    },
  ],
  files: [{ name: `${SET}.meta`, size: 3, sha256: HASH }],
})

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

/** Encodes a document that is no catalog, with the right hash. */
function sealed(change: (document: Record<string, unknown>) => void): Uint8Array {
  const text = Buffer.from(encodeCatalog(FULL)).toString()
  const { sha256: _, ...document }: Record<string, unknown> = JSON.parse(text)
  change(document)
  const zero = '0'.repeat(64)
  const open = `${JSON.stringify({ ...document, sha256: zero }, null, 2)}\n`
  return Buffer.from(open.replace(zero, sha256Of(Buffer.from(open))))
}

/** What is encoded piece by piece is as if it had been at once. */
function expectIndented(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString()
  expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`)
}

describe('catalogs', () => {
  it('come back with every field, and with few', () => {
    expect(decodeCatalog(encodeCatalog(FULL))).toMatchObject(FULL)
    expect(decodeCatalog(encodeCatalog(catalog(SET)))).toMatchObject(catalog(SET))
  })

  it('come in pieces where they are long', () => {
    const files = Array.from({ length: 2000 }, (_, i) => ({ name: `${i}`, size: i, sha256: HASH }))
    const long = catalog(SET, { files })
    const pieces = [...catalogPieces(long)]
    expect(pieces.length).toBeGreaterThan(3)
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(2 ** 17)
    expectIndented(Buffer.concat(pieces))
    expect(decodeCatalog(Buffer.concat(pieces))).toMatchObject(long)
  })

  it('tell nothing of the points of an encrypted set', () => {
    const [shard] = clearCatalog(FULL, FULL.files, ['recipient']).shards ?? []
    expect(shard).toMatchObject({ shardId: 1n, tarSize: 9 })
    expect(shard).not.toHaveProperty('data')
  })

  it('are indented JSON with 64-bit numbers as text and the hash at the end', () => {
    const text = Buffer.from(encodeCatalog(FULL)).toString()
    const document = JSON.parse(text)
    expect(document).toMatchObject({
      schema: 'snap/catalog/1',
      server: { clusterId: String(CLUSTER_ID) },
      range: { start: '-1', end: '9223372036854775806' },
    })
    expect(Object.keys(document).at(-1)).toBe('sha256')
    const open = text.replace(document.sha256, '0'.repeat(64))
    expect(document.sha256).toBe(sha256Of(Buffer.from(open)))
  })

  it('come back whatever is in them', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 10 })
    const id = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })
    const file = fc.record({ name: text, size: fc.nat(), sha256: fc.constant(HASH) })
    fc.assert(
      fc.property(text, id, fc.array(file, { maxLength: 3 }), (database, clusterId, files) => {
        const value = catalog(SET, {
          selection: { databases: [database] },
          server: { clusterId },
          files,
        })
        const bytes = encodeCatalog(value)
        expect(decodeCatalog(bytes)).toMatchObject(value)
        expectIndented(bytes)
      }),
    )
  })

  it('pass over keys of later versions', () => {
    const bytes = sealed((document) => {
      document['fingerprints'] = { later: true }
    })
    expect(decodeCatalog(bytes)).toMatchObject(FULL)
    expect(decodeCatalog(bytes)).not.toHaveProperty('fingerprints')
  })

  it.each<[string, (document: Record<string, unknown>) => void, RegExp]>([
    ['another schema', (document) => (document['schema'] = 'snap/catalog/2'), /schema/],
    ['a number for an id', (document) => (document['server'] = { clusterId: 5 }), /clusterId/],
    [
      'an id beyond 64 bits',
      (document) => (document['server'] = { clusterId: '18446744073709551616' }),
      /clusterId/,
    ],
    ['a padded id', (document) => (document['server'] = { clusterId: '01' }), /decimal digits/],
    ['an unknown kind', (document) => (document['kind'] = 'half'), /kind/],
    ['a file without hash', (document) => (document['files'] = [{ name: 'x', size: 1 }]), /sha256/],
    ['no time', (document) => (document['created'] = 'yesterday'), /created/],
  ])('are refused with %s', (_what, change, message) => {
    expect(() => decodeCatalog(sealed(change))).toThrow(failure('E_FORMAT', message))
  })

  it('are refused for every single flipped bit and every truncation', () => {
    const bytes = encodeCatalog(catalog(SET, { files: FULL.files }))
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => decodeCatalog(flipped)).toThrow(SnapError)
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeCatalog(bytes.subarray(0, length))).toThrow(SnapError)
    }
  })

  it('name expected and actual hash', () => {
    const bytes = Buffer.from(encodeCatalog(FULL))
    bytes.write('X', 30)
    expect(() => decodeCatalog(bytes, 'x.snap.json')).toThrow(
      failure('E_INTEGRITY', /^x\.snap\.json: sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}$/),
    )
    const cut = failure('E_FORMAT', /does not end with its sha256/)
    expect(() => decodeCatalog(new Uint8Array(3))).toThrow(cut)
  })
})
