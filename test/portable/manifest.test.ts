import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeManifest, encodeManifest } from '../../src/portable/index.ts'
import { entry, manifest } from './samples.ts'

const STOCK = join(import.meta.dirname, '../fixtures/portable/two-sets')
const SET = '20240102T030405Z'

const text = (value: unknown) => Buffer.from(JSON.stringify(value))
const failure = (message: RegExp) =>
  expect.objectContaining({ code: 'E_FORMAT', message: expect.stringMatching(message) })

describe('manifests of influxd', () => {
  const names = readdirSync(STOCK).filter((name) => name.endsWith('.manifest'))

  it.each(names)('%s is read and written byte for byte', (name) => {
    const bytes = readFileSync(join(STOCK, name))
    expect(Buffer.from(encodeManifest(decodeManifest(bytes))).toString()).toBe(bytes.toString())
  })

  it('name database, policy, shard, archive and size of the tar', () => {
    const [name = ''] = names
    const { meta, files, catalog } = decodeManifest(readFileSync(join(STOCK, name)))
    expect(meta).toMatchObject({ fileName: name.replace('manifest', 'meta'), size: 459 })
    expect(files.map(({ database, policy, shardId }) => [database, policy, shardId])).toEqual([
      ['a.b', 'c', 10n],
      ['a.b', 'c', 100n],
      ['a', 'b.c', 11n],
      ['a', 'b.c', 12n],
      ['plain', 'autogen', 1n],
    ])
    expect(files[0]).toMatchObject({ size: 2048, lastModified: 0 })
    expect(catalog).toBeUndefined()
  })
})

describe('encodeManifest', () => {
  it('writes as Go does: no files are null, <, > and & are escaped, 64-bit ids exact', () => {
    expect(Buffer.from(encodeManifest(manifest(SET, [], 1))).toString()).toBe(
      [
        '{',
        '  "meta": {',
        '    "fileName": "20240102T030405Z.meta",',
        '    "size": 1',
        '  },',
        '  "limited": false,',
        '  "files": null',
        '}',
      ].join('\n'),
    )
    const odd = { ...entry(SET, 0xffff_ffff_ffff_ffffn, 'a<b>&"{}[],:\\ \u2028ü'), unknown: {} }
    const encoded = Buffer.from(encodeManifest(manifest(SET, [odd], 1))).toString()
    expect(encoded).toContain('"shardID": 18446744073709551615,')
    expect(encoded).toContain('"database": "a\\u003cb\\u003e\\u0026\\"{}[],:\\\\ \\u2028ü",')
  })

  it('adds the catalog behind what influxd knows', () => {
    const named = { ...manifest(SET, [], 1), catalog: `${SET}.snap.json` }
    const encoded = Buffer.from(encodeManifest(named)).toString()
    expect(encoded).toMatch(/"files": null,\n {2}"snapCatalog": "20240102T030405Z\.snap\.json"\n}$/)
    expect(decodeManifest(Buffer.from(encoded)).catalog).toBe(`${SET}.snap.json`)
  })

  it('keeps the limits of a manifest of Enterprise and unknown keys at every level', () => {
    const json = {
      platform: 'Enterprise',
      empty: { list: [], object: {} },
      numbers: [1.5, -3],
      nothing: null,
      meta: { fileName: 'm', size: 3, checksum: 'x' },
      limited: true,
      files: [{ ...JSON.parse(entryText), node: { id: 4, live: true } }],
      database: 'db',
      policy: 'rp',
      shard_id: 7,
    }
    const decoded = decodeManifest(text(json))
    expect(decoded).toMatchObject({ limited: true, database: 'db', policy: 'rp', shardId: 7n })
    expect(JSON.parse(Buffer.from(encodeManifest(decoded)).toString())).toEqual(json)
    const big = decodeManifest(
      Buffer.from('{"meta":{"fileName":"m","size":0},"x":9007199254740993}'),
    )
    expect(Buffer.from(encodeManifest(big)).toString()).toContain('"x": 9007199254740993')
  })

  const entryText = JSON.stringify({
    ...{ database: 'db', policy: 'rp', shardID: 1, fileName: 'f', size: 2, lastModified: 0 },
  })

  it('gives back any manifest', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 8 })
    const entries = fc.array(
      fc.record({
        ...{ database: name, policy: name, fileName: name, size: fc.nat(), lastModified: fc.nat() },
        shardId: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
        unknown: fc.constant({}),
      }),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(entries, name, fc.nat(), (files, catalog, size) => {
        const value = { ...manifest(SET, files, size), catalog }
        expect(decodeManifest(encodeManifest(value))).toEqual(value)
      }),
    )
  })
})

describe('decodeManifest', () => {
  const meta = { fileName: 'm', size: 1 }
  const file = { database: 'd', policy: 'p', shardID: 1, fileName: 'f', size: 2, lastModified: 0 }

  it.each<[string, Uint8Array, RegExp]>([
    ['what is no JSON', Buffer.from('{"meta":'), /^manifest is not JSON/],
    ['what is no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /^manifest: /],
    ['an empty file', Buffer.from(''), /^manifest is not JSON/],
    ['a list', text([]), /^manifest: /],
    ['no metastore', text({ files: [] }), /^manifest: meta: /],
    [
      'a fractional size',
      text({ meta: { fileName: 'm', size: 1.5 } }),
      /meta\.size: expected a nat/,
    ],
    ['a negative size', text({ meta: { fileName: 'm', size: -1 } }), /meta\.size: expected a nat/],
    [
      'a size as text',
      text({ meta: { fileName: 'm', size: '1' } }),
      /meta\.size: expected a number/,
    ],
    ['a shard id as text', text({ meta, files: [{ ...file, shardID: '1' }] }), /files\.0\.shardID/],
    ['a shard id below 0', text({ meta, files: [{ ...file, shardID: -1 }] }), /unsigned integer/],
    [
      'a shard id beyond 64 bits',
      Buffer.from(
        JSON.stringify({ meta, files: [file] }).replace(
          '"shardID":1',
          '"shardID":18446744073709551616',
        ),
      ),
      /files\.0\.shardID/,
    ],
    ['an entry without archive', text({ meta, files: [{ ...file, fileName: 3 }] }), /fileName/],
  ])('refuses %s', (_what, bytes, message) => {
    expect(() => decodeManifest(bytes)).toThrow(failure(message))
  })

  it('refuses more than 64 MiB without looking at it', () => {
    expect(() => decodeManifest(new Uint8Array(64 * 1024 * 1024 + 1))).toThrow(
      failure(/67108865 bytes, expected at most/),
    )
  })

  it('ends in an error or a manifest for every truncation and flipped bit', () => {
    const bytes = encodeManifest(manifest(SET, [entry(SET, 1n)], 1))
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeManifest(bytes.subarray(0, length))).toThrow(SnapError)
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        decodeManifest(flipped)
      } catch (error) {
        expect(error).toBeInstanceOf(SnapError)
      }
    }
  })
})
