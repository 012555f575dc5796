import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { readArchive } from '../../src/portable/archive-reader.ts'
import { ArchiveWriter } from '../../src/portable/archive-writer.ts'
import { startOfStored } from '../../src/portable/stored-blocks.ts'

const MIB = 1024 * 1024

/** Cuts bytes into chunks, the first one of `first`, and spoils each when the next is asked for. */
async function* inChunks(bytes: Uint8Array, first: number, size = first) {
  for (let at = 0; at < bytes.length; ) {
    const chunk = Buffer.from(bytes.subarray(at, at + (at === 0 ? first : size)))
    at += chunk.length
    yield chunk
    chunk.fill(0xa5)
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** Writes an archive as a backup does. */
async function write(tar: Uint8Array, compression: 'gzip' | 'none'): Promise<Buffer> {
  return await collect(new ArchiveWriter(inChunks(tar, 65_536), { fileName: 'a.tar', compression }))
}

function read(archive: Uint8Array, first: number, size?: number): Promise<Buffer> {
  return collect(readArchive(inChunks(archive, first, size), 'x', { mayBeStored: true }))
}

const tar = randomBytes(2 * MIB + 77)
const stored = await write(tar, 'none')

describe('readArchive of stored blocks', () => {
  it('knows those that we wrote without compression, and no others', async () => {
    expect(startOfStored(stored)).toBe(16)
    expect(startOfStored(stored.subarray(0, 20))).toBeUndefined()
    expect(startOfStored(await write(tar, 'gzip'))).toBeUndefined()
    expect(startOfStored(await write(Buffer.alloc(1000), 'none'))).toBeUndefined()
    for (const level of [1, 6, 9]) expect(startOfStored(gzipSync(tar, { level }))).toBeUndefined()
    const endless = Buffer.concat([stored.subarray(0, 10), Buffer.alloc(2000, 'n')])
    expect(startOfStored(endless)).toBeUndefined()
  })

  test.prop([fc.integer({ min: 21, max: 3 * MIB }), fc.integer({ min: 700, max: 2 * MIB })], {
    numRuns: 20,
  })('gives the tar, whatever the chunks are', async (first, size) => {
    expect((await read(stored, first, size)).equals(tar)).toBe(true)
  })

  it.each([65_535, 65_536, 512 * 1024, MIB - 1, MIB, MIB + 1])(
    'gives a tar of %d bytes',
    async (size) => {
      const bytes = tar.subarray(0, size)
      expect((await read(await write(bytes, 'none'), 512 * 1024)).equals(bytes)).toBe(true)
    },
  )

  it('gives what did not become smaller when it was compressed', async () => {
    const mixed = Buffer.concat([tar, Buffer.alloc(MIB)])
    expect((await read(await write(mixed, 'gzip'), 512 * 1024)).equals(mixed)).toBe(true)
    expect((await read(gzipSync(tar), 512 * 1024)).equals(tar)).toBe(true)
  })

  test.prop([fc.integer({ min: 21, max: stored.length - 1 })], { numRuns: 50 })(
    'calls a shorter one cut',
    async (length) => {
      await expect(read(stored.subarray(0, length), 512 * 1024)).rejects.toMatchObject({
        code: 'E_CUT',
        message: expect.stringContaining('x: archive cut at'),
      })
    },
  )

  it('calls it cut between its last bytes', async () => {
    for (let left = 1; left <= 15; left += 1) {
      await expect(read(stored.subarray(0, -left), 70_000)).rejects.toMatchObject({ code: 'E_CUT' })
    }
  })

  const few = tar.subarray(0, 200_000)
  it('finds every change where blocks begin and end', async () => {
    const short = await write(few, 'none')
    const starts = [0, 65_540, 131_080].flatMap((at) =>
      [0, 1, 2, 3, 4, 5, 300].map((i) => 16 + at + i),
    )
    const ends = Array.from({ length: 16 }, (_, i) => short.length - 1 - i)
    for (const at of [...starts, ...ends]) {
      for (let bit = 0; bit < 8; bit += 1) {
        const copy = Buffer.from(short)
        copy[at] = (copy[at] ?? 0) ^ (1 << bit)
        const outcome = await read(copy, 512 * 1024).catch((error: unknown) => error)
        // Bits that fill up the first byte mean nothing: zlib, which then reads it, passes over them.
        if (at === 16 && bit > 2)
          expect(outcome instanceof Buffer && few.equals(outcome)).toBe(true)
        else expect(outcome, `byte ${at}`).toBeInstanceOf(SnapError)
      }
    }
  })

  it('refuses what follows', async () => {
    for (const more of [Buffer.alloc(1), Buffer.from('rubbish'), gzipSync('more')]) {
      await expect(read(Buffer.concat([stored, more]), 512 * 1024)).rejects.toMatchObject({
        code: 'E_INTEGRITY',
        message: expect.stringContaining("data after the archive's end"),
      })
    }
  })
})
