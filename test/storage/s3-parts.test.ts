import { describe, expect, it } from 'vitest'
import { parseS3Location } from '../../src/storage/s3-location.ts'
import { cutParts, PartMemory, partSize } from '../../src/storage/s3-parts.ts'
import { thrown } from '../protocol/thrown.ts'

const MIB = 1024 ** 2

async function* bytes(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield Buffer.alloc(size, size)
}

async function cut(...sizes: readonly number[]): Promise<[number, boolean][]> {
  const found: [number, boolean][] = []
  const memory = new PartMemory()
  for await (const { bytes: part, isLast } of cutParts(bytes(...sizes), memory, (i) => 10 + i)) {
    found.push([part.length, isLast])
    memory.give(part)
  }
  return found
}

describe('the parts of an upload', () => {
  it('begin with 5 MiB and reach 5 TiB, the largest object there is', () => {
    const sizes = [0, 3_799, 3_800, 3_950, 9_999].map((index) => partSize(index) / MIB)
    expect(sizes).toEqual([5, 5, 10, 20, 1024])
    const all = Array.from({ length: 10_000 }, (_, index) => partSize(index))
    expect(all.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(5 * 1024 ** 4)
  })

  it('have the sizes asked for, whatever the chunks are', async () => {
    expect(await cut()).toEqual([[0, true]])
    expect(await cut(10)).toEqual([[10, true]])
    expect(await cut(3, 0, 3)).toEqual([[6, true]])
    expect(await cut(30)).toEqual([
      [10, false],
      [11, false],
      [9, true],
    ])
  })
})

describe('the memory of parts', () => {
  it('is that of four for all uploads, and of one for each', () => {
    const memory = new PartMemory()
    const parts = [1, 2, 3, 4].map(() => memory.take(5 * MIB))
    expect(memory.hasRoom(5 * MIB, 1)).toBe(false)
    expect(memory.hasRoom(1024 * MIB, 0)).toBe(true)
    const [first, second] = parts
    if (first === undefined || second === undefined) throw new Error('no parts')
    memory.give(first.subarray(0, 7))
    expect(memory.hasRoom(5 * MIB, 1)).toBe(true)
    expect(memory.take(5 * MIB).buffer).toBe(first.buffer)
    memory.give(second, false)
    expect(memory.take(5 * MIB).buffer).not.toBe(second.buffer)
  })

  it('is used again whatever its size: shared memory is collected late', () => {
    const memory = new PartMemory()
    const parts = [5, 5, 5, 5, 5, 10].map((size) => memory.take(size * MIB))
    for (const part of parts) memory.give(part)
    const again = [10, 5, 5, 5, 5, 5].map((size) => memory.take(size * MIB).buffer)
    expect(new Set(again)).toEqual(new Set(parts.map(({ buffer }) => buffer)))
  })

  it('is shared with the thread that hashes, but for that of small objects', () => {
    const memory = new PartMemory()
    for (const size of [65_537, 5 * MIB, 10 * MIB]) {
      expect(memory.take(size).buffer).toBeInstanceOf(SharedArrayBuffer)
    }
    expect(memory.take(65_536).buffer).toBeInstanceOf(ArrayBuffer)
  })

  it('comes back from a body that fails', async () => {
    const memory = new PartMemory()
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(6 * MIB)
      throw new Error('lost')
    }
    const read = async () => {
      for await (const { bytes: part } of cutParts(failing(), memory)) memory.give(part)
    }
    await expect(read()).rejects.toThrow('lost')
    for (let i = 0; i < 4; i += 1) {
      expect(memory.hasRoom(5 * MIB, 1)).toBe(true)
      memory.take(5 * MIB)
    }
  })
})

describe('a place in a bucket', () => {
  it('is a bucket and what keys begin with', () => {
    expect(parseS3Location('s3://bucket')).toEqual({ bucket: 'bucket', prefix: '' })
    expect(parseS3Location('S3://b.u-c/a b/ü/')).toEqual({ bucket: 'b.u-c', prefix: 'a b/ü/' })
  })

  it.each([
    's3://',
    's3:///a',
    's3://a/b',
    's3://bucket/a//b',
    's3://bucket/../b',
    's3://bucket/a\nb',
  ])('is not %j', (location) => {
    const refused = expect.objectContaining({ code: 'E_USAGE' })
    expect(() => parseS3Location(location)).toThrow(refused)
  })

  it('is refused without saying a secret again, or all of a long prefix', () => {
    for (const location of ['s3://key:secret@bucket/a', `s3://bucket/${'p'.repeat(701)}`]) {
      const { message } = thrown(() => parseS3Location(location))
      expect(message).not.toMatch(/secret|ppp/)
    }
  })
})
