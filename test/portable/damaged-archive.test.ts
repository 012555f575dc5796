import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readDamagedArchive } from '../../src/portable/damaged-archive.ts'
import { inPieces } from '../tsm/files.ts'

const DATA = Buffer.from(Array.from({ length: 40_000 }, (_, i) => (i * i * 31) % 251))

async function read(archive: Uint8Array, piece = 16_384): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readDamagedArchive(inPieces(archive, piece))) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A member with every optional field. */
function memberOf(data: Buffer, flags: number): Buffer {
  const parts = [Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3])]
  if (flags & 4) parts.push(Buffer.from([3, 0, 1, 2, 3]))
  if (flags & 8) parts.push(Buffer.from('name.tar\0'))
  if (flags & 16) parts.push(Buffer.from('comment\0'))
  if (flags & 2) parts.push(Buffer.from([7, 7]))
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc32(data))
  trailer.writeUInt32LE(data.length, 4)
  return Buffer.concat([...parts, deflateRawSync(data), trailer])
}

describe('readDamagedArchive', () => {
  it.each([1, 7, 1000, 1_000_000])('reads a whole archive in pieces of %i bytes', async (piece) => {
    expect((await read(gzipSync(DATA), piece)).equals(DATA)).toBe(true)
  })

  it.each([0, 2, 4, 8, 16, 30])('reads members with the header flags %i', async (flags) => {
    const archive = Buffer.concat([memberOf(DATA, flags), memberOf(DATA.subarray(7), flags)])
    const expected = Buffer.concat([DATA, DATA.subarray(7)])
    for (const piece of [1, 13, 1_000_000]) {
      expect((await read(archive, piece)).equals(expected)).toBe(true)
    }
  })

  it('takes no notice of check sums', async () => {
    const archive = gzipSync(DATA)
    archive.fill(0xff, archive.length - 8)
    expect((await read(archive)).equals(DATA)).toBe(true)
  })

  it('gives what comes before the damage, but for the last 4 KiB at most', async () => {
    const stored = gzipSync(DATA, { level: 0 })
    const got = await read(stored.subarray(0, 35_000))
    expect(got.length).toBeGreaterThan(35_000 - 5000)
    expect(DATA.subarray(0, got.length).equals(got)).toBe(true)

    const noise = Buffer.from(Array.from({ length: 100_000 }, (_, i) => Math.sin(i) * 1e6))
    const archive = gzipSync(noise)
    const half = archive.length >> 1
    archive.fill(0xff, half, half + 100)
    const begun = await read(archive)
    expect(begun.length).toBeGreaterThan(40_000)
    expect(noise.subarray(0, 40_000).equals(begun.subarray(0, 40_000))).toBe(true)
  })

  it('ends with the first member whose header is none', async () => {
    const archive = Buffer.concat([gzipSync(DATA), Buffer.from('not gzip'), gzipSync(DATA)])
    expect((await read(archive)).equals(DATA)).toBe(true)
    expect((await read(Buffer.from('not gzip'))).length).toBe(0)
    expect((await read(gzipSync(DATA).subarray(0, 5))).length).toBe(0)
    const endless = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]),
      Buffer.alloc(70_000, 65),
    ])
    expect((await read(endless)).length).toBe(0)
  })

  it('fails as the archive does, after what came before', async () => {
    const failing = async function* () {
      yield gzipSync(DATA).subarray(0, 30_000)
      throw new Error('gone')
    }
    let size = 0
    const reading = async () => {
      for await (const chunk of readDamagedArchive(failing())) size += chunk.length
    }
    await expect(reading()).rejects.toThrow('gone')
    expect(size).toBeGreaterThan(0)
  })
})
