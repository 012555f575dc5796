import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { beforeAll, describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { bytesAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { MAX_INDEX_ENTRIES } from '../../src/tsm/format.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { rangeOf } from '../../src/tsm/values.ts'
import { TsmWriter } from '../../src/tsm/writer.ts'
import { blockOf, runs } from './arbitraries.ts'
import { all, memorySink, openBytes, tsmBytes } from './files.ts'
import { fixtureDirectory, fixtureFiles } from './fixtures.ts'
import { word } from './reference/words.ts'

const block = blockOf('integer', [5n, 6n, 9n], 1)
let bytes: Buffer
let indexAt: number

beforeAll(async () => {
  bytes = await tsmBytes([
    ['a#!~#v', [block, blockOf('integer', [10n], 2)]],
    ['b#!~#v', [blockOf('string', [1n], 1)]],
  ])
  indexAt = Number(bytes.readBigUInt64BE(bytes.length - 8))
})

function changed(change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

// A file with this index, whose blocks are 100 zero bytes.
function withIndex(...index: number[]): Buffer {
  const header = [0x16, 0xd1, 0x16, 0xd1, 1]
  return Buffer.from([...header, ...Array<number>(100).fill(0), ...index, ...word(105n)])
}

const entry = (minTime: bigint, maxTime: bigint, offset = 5n, size = [0, 0, 0, 20]) => [
  ...word(BigInt.asUintN(64, minTime)),
  ...word(BigInt.asUintN(64, maxTime)),
  ...word(offset),
  ...size,
]

describe('opens', () => {
  it('a file and reads keys, entries and points', async () => {
    const file = await openBytes(bytes)
    const keys = await all(file.keys())
    expect(
      keys.map(({ key, type, entries }) => [`${Buffer.from(key)}`, type, entries.length]),
    ).toEqual([
      ['a#!~#v', 'integer', 2],
      ['b#!~#v', 'string', 1],
    ])
    const [first] = keys
    const [place] = first?.entries ?? []
    if (first === undefined || place === undefined) throw new Error('no keys')
    expect(place).toMatchObject({ minTime: 5n, maxTime: 9n, offset: 5 })
    expect(await file.readPoints(first, place)).toEqual(block)
    await file.close()
  })

  it('and finds one key', async () => {
    const file = await openBytes(bytes)
    expect((await file.find(Buffer.from('b#!~#v')))?.type).toBe('string')
    expect(await file.find(Buffer.from('aa'))).toBeUndefined()
    expect(await file.find(Buffer.from('c'))).toBeUndefined()
  })

  it('a file whose index is longer than its window', async () => {
    const key = (i: number) => `${String(i).padStart(5, '0')}${'k'.repeat(200)}#!~#v`
    const keys = Array.from(
      { length: 3000 },
      (_, i) => [key(i), [blockOf('float', [BigInt(i)], i)]] as const,
    )
    const file = await openBytes(await tsmBytes(keys))
    const read = await all(file.blocks())
    expect(read.map(({ key, entry }) => [`${Buffer.from(key)}`, entry.minTime])).toEqual(
      keys.map(([name], i) => [name, BigInt(i)]),
    )
  })

  it('a key with as many blocks as there can be', async () => {
    const blocks = Array.from({ length: MAX_INDEX_ENTRIES }, (_, i) =>
      blockOf('boolean', [BigInt(i)], 1),
    )
    const file = await openBytes(await tsmBytes([['k#!~#v', blocks]]))
    const [key] = await all(file.keys())
    expect(key?.entries.length).toBe(MAX_INDEX_ENTRIES)
  })

  it('and reads blocks in large pieces, in any order', async () => {
    let reads = 0
    const inner = bytesAccess(bytes, 'x')
    const counting: RandomAccess = {
      ...inner,
      read: (offset, length) => {
        reads++
        return inner.read(offset, length)
      },
    }
    const file = await openTsm(counting)
    reads = 0
    const blocks = await all(file.blocks())
    expect(reads).toBe(2)
    for (const { entry, ...key } of blocks.reverse()) await file.readPoints(key, entry)
  })
})

describe('refuses', () => {
  it.each([
    ['nothing', () => Buffer.alloc(0), 'no TSM file'],
    ['another magic', () => changed((b) => b.writeUInt8(0, 0)), 'begins with 00d116d101'],
    ['another version', () => changed((b) => b.writeUInt8(2, 4)), 'begins with 16d116d102'],
    [
      'an index before the blocks',
      () => changed((b) => b.writeBigUInt64BE(5n, b.length - 8)),
      'index at offset 5',
    ],
    [
      'an index after the end',
      () => changed((b) => b.writeBigUInt64BE(2n ** 63n, b.length - 8)),
      'index at offset',
    ],
    [
      'an empty index',
      () => changed((b) => b.writeBigUInt64BE(BigInt(b.length - 8), b.length - 8)),
      'index at',
    ],
  ])('to open %s', async (_, make, message) => {
    await expect(openBytes(make(), 'x.tsm')).rejects.toThrow(message)
  })

  it.each([
    ['an index cut in a length', [0], 'the index is cut'],
    ['an index cut in a key', [0, 5, 97], 'the index is cut'],
    ['an index cut in its entries', [0, 1, 97, 0, 0, 2, ...entry(1n, 2n)], 'the index is cut'],
    ['an empty key', [0, 0, 0, 0, 1, ...entry(1n, 2n)], 'a key is empty'],
    ['a key without blocks', [0, 1, 97, 0, 0, 0], 'no blocks'],
    ['an unknown type', [0, 1, 97, 5, 0, 1, ...entry(1n, 2n)], 'block type 5'],
    [
      'the same key twice',
      [...[0, 1, 97, 0, 0, 1, ...entry(1n, 2n)], ...[0, 1, 97, 0, 0, 1, ...entry(1n, 2n)]],
      'not after',
    ],
    ['times in the wrong order', [0, 1, 97, 0, 0, 1, ...entry(3n, 2n)], 'out of order'],
    [
      'blocks in the wrong order',
      [0, 1, 97, 0, 0, 2, ...entry(3n, 4n), ...entry(1n, 2n)],
      'out of order',
    ],
    ['a block in the header', [0, 1, 97, 0, 0, 1, ...entry(1n, 2n, 4n)], 'not inside the blocks'],
    ['a block in the index', [0, 1, 97, 0, 0, 1, ...entry(1n, 2n, 86n)], 'not inside the blocks'],
    [
      'a block at a negative offset',
      [0, 1, 97, 0, 0, 1, ...entry(1n, 2n, 2n ** 64n - 1n)],
      'not inside the blocks',
    ],
    [
      'a block of nothing',
      [0, 1, 97, 0, 0, 1, ...entry(1n, 2n, 5n, [0, 0, 0, 5])],
      'not inside the blocks',
    ],
    [
      'a huge block',
      [0, 1, 97, 0, 0, 1, ...entry(1n, 2n, 5n, [255, 255, 255, 255])],
      'not inside the blocks',
    ],
  ])('%s', async (_, index, message) => {
    const file = await openBytes(withIndex(...index), 'x.tsm')
    await expect(all(file.keys())).rejects.toThrow(message)
    await expect(all(file.keys())).rejects.toThrow(SnapError)
  })

  it('a block with a wrong CRC, before it is decoded', async () => {
    const file = await openBytes(changed((b) => b.writeUInt8(0xff, 12)))
    await expect(all(file.blocks())).rejects.toMatchObject({ code: 'E_INTEGRITY' })
  })

  it('a block of another type than its key', async () => {
    const file = await openBytes(changed((b) => b.writeUInt8(0, indexAt + 2 + 6)))
    await expect(all(file.blocks())).rejects.toThrow('integer, expected float')
  })

  it('a block that does not decode, by its name', async () => {
    const { sink, bytes } = memorySink()
    const writer = new TsmWriter(sink)
    await writer.writeBlock(Buffer.from('k#!~#v'), rangeOf(block), Uint8Array.of(1, 1, 0x30))
    await writer.finish()
    const file = await openBytes(bytes(), 'x.tsm')
    const [key] = await all(file.keys())
    const [place] = key?.entries ?? []
    if (key === undefined || place === undefined) throw new Error('no keys')
    const message = 'x.tsm: block at offset 5 of k#!~#v: block: times: unknown encoding'
    await expect(file.readPoints(key, place)).rejects.toThrow(message)
  })

  it('a block with other times than its entry', async () => {
    const file = await openBytes(changed((b) => b.writeBigInt64BE(4n, indexAt + 2 + 6 + 3)))
    const [key] = await all(file.keys())
    const [place] = key?.entries ?? []
    if (key === undefined || place === undefined) throw new Error('no keys')
    await expect(file.readPoints(key, place)).rejects.toThrow('times 5 to 9, expected 4 to 9')
  })
})

async function readAll(damaged: Uint8Array): Promise<number> {
  const file = await openBytes(damaged)
  let points = 0
  for await (const { entry, ...key } of file.blocks())
    points += (await file.readPoints(key, entry)).times.length
  return points
}

const damage = {
  cut: fc.nat({ max: 200 }),
  flips: fc.array(fc.nat({ max: 10_000_000 }), { maxLength: 3 }),
}

describe('a damaged file of a real influxd ends in a SnapError or in points', () => {
  test.prop(damage, runs(150))('overlaps', async ({ cut, flips }) => {
    const whole = await readFile(join(fixtureDirectory('overlaps'), '000000002-000000001.tsm'))
    const copy = Buffer.from(whole.subarray(0, whole.length - (cut < 100 ? 0 : cut)))
    for (const flip of flips) {
      const at = flip % (copy.length * 8)
      copy.writeUInt8(copy.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3)
    }
    await readAll(copy).then(
      (points) => expect(points).toBeGreaterThan(0),
      (error) => expect(error).toBeInstanceOf(SnapError),
    )
  })

  it('every fixture cut anywhere', async () => {
    for (const path of await fixtureFiles()) {
      const whole = await readFile(path)
      for (let i = 1; i <= 20; i++) {
        const cut = whole.subarray(0, Math.floor((whole.length * (i - 1)) / 20))
        await expect(readAll(cut)).rejects.toThrow(SnapError)
      }
    }
  })
})
