import { tmpdir } from 'node:os'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { concatBlocks } from '../../src/tsm/arrange.ts'
import { encodeBlock } from '../../src/tsm/block.ts'
import { MAX_INDEX_ENTRIES } from '../../src/tsm/format.ts'
import { type Block, rangeOf } from '../../src/tsm/values.ts'
import { TsmWriter } from '../../src/tsm/writer.ts'
import { blockOf, someBlock } from './arbitraries.ts'
import { all, memorySink, openBytes, tsmBytes } from './files.ts'

const key = (name: string) => Buffer.from(name)

test.prop({
  keys: fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 9 }), someBlock(20)), {
    selector: ([name]) => name,
    maxLength: 9,
  }),
})('what is written is read', async ({ keys }) => {
  const sorted = keys.sort(([a], [b]) => Buffer.compare(key(a), key(b)))
  const bytes = await tsmBytes(sorted.map(([name, block]) => [name, [block]]))
  if (keys.length === 0) {
    expect(bytes.length).toBe(0)
    return
  }
  const file = await openBytes(bytes)
  const read: [string, Block][] = []
  for await (const { entry, ...found } of file.blocks()) {
    read.push([`${Buffer.from(found.key)}`, await file.readPoints(found, entry)])
  }
  expect(read).toEqual(sorted)
})

describe('a writer', () => {
  it('writes nothing for no points and says so', async () => {
    const { sink, bytes } = memorySink()
    const written = await new TsmWriter(sink).finish()
    expect(written).toMatchObject({ size: 0, keys: 0, blocks: 0 })
    expect(bytes().length).toBe(0)
  })

  it('puts at most 1,000 points in a block and says what it wrote', async () => {
    const times = Array.from({ length: 2500 }, (_, i) => BigInt(i - 100))
    const { sink, bytes } = memorySink()
    const writer = new TsmWriter(sink)
    await writer.writeValues(key('a'), blockOf('float', times, 1))
    await writer.writeValues(key('b'), blockOf('string', [5000n], 1))
    const written = await writer.finish()
    expect(written).toEqual({
      size: bytes().length,
      keys: 2,
      blocks: 4,
      minTime: -100n,
      maxTime: 5000n,
    })
    const [first] = await all((await openBytes(bytes())).keys())
    expect(first?.entries.map(({ minTime, maxTime }) => [minTime, maxTime])).toEqual([
      [-100n, 899n],
      [900n, 1899n],
      [1900n, 2399n],
    ])
  })

  it('hands on what it has in pieces before it is finished', async () => {
    const { sink, bytes } = memorySink()
    const writer = new TsmWriter(sink)
    const noise = Array.from({ length: 1000 }, (_, i) => BigInt(i) ** 6n)
    for (let i = 0; i < 80; i++) {
      await writer.writeValues(key(`k${i + 10}`), blockOf('integer', noise, 1))
    }
    expect(bytes().length).toBeGreaterThanOrEqual(512 * 1024)
  })

  it('puts the blocks of a key in the order of their first times, as influxd does', async () => {
    const blocks = [[5n, 9n], [1n, 7n], [3n]].map((times) => blockOf('integer', times, 1))
    const file = await openBytes(await tsmBytes([['k', blocks]]))
    const [found] = await all(file.keys())
    expect(found?.entries.map(({ minTime }) => minTime)).toEqual([1n, 3n, 5n])
    const points = await all(file.blocks())
    expect(points.length).toBe(3)
  })

  const block = blockOf('integer', [1n], 1)
  const write = async (...blocks: [string, Block][]) => {
    const writer = new TsmWriter(memorySink().sink)
    for (const [name, points] of blocks) await writer.writeValues(key(name), points)
  }

  it.each([
    [
      'keys out of order',
      [
        ['b', block],
        ['a', block],
      ],
      'before the key before it',
    ],
    [
      'two types of a key',
      [
        ['a', block],
        ['a', blockOf('float', [2n], 1)],
      ],
      'is integer and float',
    ],
    ['an empty key', [['', block]], '0 bytes'],
    ['a key that is too long', [['k'.repeat(65_536), block]], '65536 bytes'],
    ['times that do not ascend', [['a', blockOf('float', [2n, 1n], 1)]], 'do not ascend'],
  ] as [string, [string, Block][], string][])('refuses %s', async (_, blocks, message) => {
    await expect(write(...blocks)).rejects.toMatchObject({ code: 'E_FAILED' })
    await expect(write(...blocks)).rejects.toThrow(message)
  })

  it('refuses what is no block', async () => {
    const writer = new TsmWriter(memorySink().sink)
    const range = rangeOf(block)
    await expect(writer.writeBlock(key('a'), range, Uint8Array.of(9))).rejects.toThrow(
      'block type 9',
    )
    await expect(writer.writeBlock(key('a'), range, Uint8Array.of())).rejects.toThrow('TSM writer')
  })

  it('takes a key as long as one can be', async () => {
    const file = await openBytes(await tsmBytes([['k'.repeat(65_535), [block]]]))
    expect(await file.find(key('k'.repeat(65_535)))).toBeDefined()
  })

  it('is full at 65,535 blocks of a key, and takes no more', async () => {
    const writer = new TsmWriter(memorySink().sink)
    const bytes = encodeBlock(block)
    for (let i = 0; i < MAX_INDEX_ENTRIES; i++) {
      expect(writer.full).toBe(false)
      await writer.writeBlock(key('a'), rangeOf(block), bytes)
    }
    expect(writer.full).toBe(true)
    await expect(writer.writeBlock(key('a'), rangeOf(block), bytes)).rejects.toThrow(
      'more than 65535',
    )
    // another key begins anew
    await writer.writeBlock(key('b'), rangeOf(block), bytes)
    expect(writer.full).toBe(false)
  })

  describe('with an index of megabytes', () => {
    const count = 120
    const nameOf = (i: number) => key(`${i}`.padStart(60_000, '0'))
    const writeAll = async (tempDir?: string) => {
      const { sink, bytes } = memorySink()
      const writer = new TsmWriter(sink, { tempDir })
      try {
        for (let i = 0; i < count; i++) await writer.writeValues(nameOf(i), block)
        const { size } = await writer.finish()
        expect(bytes().length).toBe(size)
        return bytes()
      } finally {
        await writer.close()
      }
    }

    it('writes the same by way of a temporary file', async () => {
      const bytes = await writeAll(tmpdir())
      expect(bytes.equals(await writeAll())).toBe(true)
      const keys = await all((await openBytes(bytes)).keys())
      expect(keys.map((one) => Buffer.compare(one.key, nameOf(keys.indexOf(one))))).toEqual(
        Array(count).fill(0),
      )
    })

    it('fails where that cannot be made', async () => {
      await expect(writeAll('/nowhere')).rejects.toMatchObject({ code: 'E_DESTINATION' })
    })
  })

  it('is full past its size, the index counted', async () => {
    const writer = new TsmWriter(memorySink().sink, { limit: 100 })
    await writer.writeValues(key('a'), block)
    expect(writer.full).toBe(false)
    await writer.writeValues(key('b'), concatBlocks([block, blockOf('integer', [2n], 1)]))
    expect(writer.full).toBe(true)
  })
})
