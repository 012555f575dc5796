import { describe, expect, it } from 'vitest'
import { parseS3Location } from '../../src/storage/s3-location.ts'
import { cutParts, partSize, partsInFlight } from '../../src/storage/s3-parts.ts'
import { thrown } from '../protocol/thrown.ts'

const MIB = 1024 ** 2

async function* bytes(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield Buffer.alloc(size, size)
}

async function cut(...sizes: readonly number[]): Promise<[number, boolean][]> {
  const found: [number, boolean][] = []
  for await (const { bytes: part, isLast } of cutParts(bytes(...sizes), (index) => 10 + index)) {
    found.push([part.length, isLast])
  }
  return found
}

describe('the parts of an upload', () => {
  it('begin with 8 MiB and reach 5 TiB, the largest object there is', () => {
    expect([0, 749, 750, 9_999].map(partSize)).toEqual([8 * MIB, 8 * MIB, 16 * MIB, 1024 * MIB])
    const all = Array.from({ length: 10_000 }, (_, index) => partSize(index))
    expect(all.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(5 * 1024 ** 4)
    expect([8, 64, 128, 1024].map((size) => partsInFlight(size * MIB))).toEqual([4, 4, 2, 1])
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
