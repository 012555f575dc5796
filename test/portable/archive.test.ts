import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { ARCHIVE_BLOCK_SIZE } from '../../src/portable/archive-blocks.ts'
import {
  archiveAccess,
  readArchiveRange,
  type SeekableArchive,
} from '../../src/portable/archive-range.ts'
import { readArchive } from '../../src/portable/archive-reader.ts'
import { type ArchiveSummary, ArchiveWriter } from '../../src/portable/archive-writer.ts'
import { run } from '../helpers/run.ts'

const MIB = ARCHIVE_BLOCK_SIZE
const FILE_NAME = '20261122T140000Z.s7.tar'

async function* inChunks(
  bytes: Uint8Array,
  size: number,
  state: { pulled?: number; closed?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < bytes.length; at += size) {
      state.pulled = (state.pulled ?? 0) + 1
      yield bytes.subarray(at, at + size)
    }
  } finally {
    state.closed = true
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** Bytes that compress about as TSM does: half of them random. */
function sample(size: number): Buffer {
  const bytes = randomBytes(size)
  for (let i = 0; i < size; i += 2) bytes[i] = i >> 8
  return bytes
}

interface Written {
  readonly gz: Buffer
  readonly summary: ArchiveSummary
}

async function write(
  tar: Uint8Array,
  options: { compression?: 'gzip' | 'none'; chunk?: number } = {},
): Promise<Written> {
  const { chunk = 65_536, ...rest } = options
  const writer = new ArchiveWriter(inChunks(tar, chunk), { fileName: FILE_NAME, ...rest })
  const gz = await collect(writer)
  return { gz, summary: writer.summary }
}

function seekable(written: Written, name = 'archive'): SeekableArchive & { reads: number } {
  const archive = {
    name,
    index: written.summary,
    reads: 0,
    read({ start, end }: { start: number; end: number }) {
      archive.reads += 1
      return inChunks(written.gz.subarray(start, end), 10_000)
    },
  }
  return archive
}

function failure(code: string, text: string) {
  return expect.objectContaining({ code, message: expect.stringContaining(text) })
}

const SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 77]

describe('ArchiveWriter', () => {
  it.each(
    SIZES.flatMap((size) => [
      { size, compression: 'gzip' as const },
      { size, compression: 'none' as const },
    ]),
  )('writes gzip of $size bytes ($compression)', async ({ size, compression }) => {
    const tar = sample(size)
    const { gz, summary } = await write(tar, { compression, chunk: 100_003 })
    expect(gunzipSync(gz).equals(tar)).toBe(true)
    expect((await collect(readArchive(inChunks(gz, 50_000), 'x'))).equals(tar)).toBe(true)
    expect(summary).toMatchObject({ tarSize: size, gzSize: gz.length })
    expect(summary.sha256).toBe(createHash('sha256').update(gz).digest('hex'))
    expect(summary.seekPoints.map(([at]) => at)).toEqual(
      Array.from({ length: Math.ceil(size / MIB) }, (_, i) => i * MIB),
    )
  })

  it('begins as archives of influxd do, with the name of the tar and no time', async () => {
    const { gz } = await write(sample(10))
    expect(gz.subarray(0, 10).toString('hex')).toBe('1f8b08080000000000ff')
    expect(gz.toString('latin1', 10, 10 + FILE_NAME.length + 1)).toBe(`${FILE_NAME}\0`)
  })

  it('is accepted by gzip -t', async () => {
    const { gz } = await write(sample(2 * MIB + 5))
    expect(await run('gzip', ['-tv'], { stdin: gz })).toMatchObject({ code: 0 })
  })

  it('writes one member, the same each time', async () => {
    const tar = sample(MIB + 1)
    const { gz } = await write(tar, { chunk: 1000 })
    const again = await Promise.all([7, 77].map((n) => write(tar, { chunk: n * 65_536 })))
    expect(again.map((written) => written.gz.equals(gz))).toEqual([true, true])
    expect(gz.indexOf(Buffer.from([0x1f, 0x8b, 8, 8]), 1)).toBe(-1)
  })

  it('holds few blocks however slow the consumer is', async () => {
    const state = { pulled: 0, closed: false }
    const tar = inChunks(sample(16 * MIB), MIB, state)
    const writer = new ArchiveWriter(tar, { fileName: FILE_NAME, inFlight: 3 })
    const iterator = writer[Symbol.asyncIterator]()
    await iterator.next()
    expect(state.pulled).toBe(0)
    for (let block = 1; block <= 3; block += 1) {
      await iterator.next()
      await sleep(20)
      expect(state.pulled).toBe(block + 2)
    }
    await iterator.return()
    expect(state.closed).toBe(true)
    expect(() => writer.summary).toThrow(failure('E_FAILED', 'not complete'))
  })

  it('passes the error of the tar on, and is not complete', async () => {
    const error = new SnapError('E_CUT', 'cut')
    async function* broken() {
      yield sample(MIB + 3)
      throw error
    }
    const writer = new ArchiveWriter(broken(), { fileName: FILE_NAME })
    await expect(collect(writer)).rejects.toBe(error)
    expect(() => writer.summary).toThrow(failure('E_FAILED', 'not complete'))
  })

  it('fails when a block cannot be compressed', async () => {
    const tar = inChunks(sample(3 * MIB), MIB)
    const compressMember = () => Promise.reject(new Error('no'))
    const writer = new ArchiveWriter(tar, { fileName: FILE_NAME, compressMember })
    await expect(collect(writer)).rejects.toThrow('no')
  })

  it('refuses a name that cannot stand in the header', () => {
    const make = (fileName: string) => new ArchiveWriter(inChunks(sample(1), 1), { fileName })
    expect(() => make('a\0b')).toThrow(failure('E_FAILED', 'file name'))
    expect(() => make('')).toThrow(failure('E_FAILED', 'file name'))
  })
})

describe('readArchive', () => {
  test.prop([
    fc.array(fc.uint8Array({ maxLength: 5000 }), { minLength: 1, maxLength: 4 }),
    fc.integer({ min: 1, max: 6000 }),
  ])('reads all members', async (members, chunk) => {
    const gz = Buffer.concat(members.map((bytes) => gzipSync(bytes)))
    const read = await collect(readArchive(inChunks(gz, chunk), 'x'))
    expect(read.equals(Buffer.concat(members))).toBe(true)
  })

  it.each([1, 1000])(
    'ends in an error or right data after a change of a bit, chunks of %d',
    async (chunk) => {
      const tar = Buffer.concat([sample(300), Buffer.alloc(300)])
      const { gz } = await write(tar)
      let refused = 0
      for (let at = 0; at < gz.length; at += 1) {
        const copy = Buffer.from(gz)
        copy[at] = (copy[at] ?? 0) ^ (1 << ((at * 5) % 8))
        const outcome = await collect(readArchive(inChunks(copy, chunk), 'x')).catch(
          (error: unknown) => error,
        )
        if (outcome instanceof SnapError) refused += 1
        else expect(outcome).toEqual(tar)
      }
      // What may change without harm is the time, the name and two flags of the header.
      expect(gz.length - refused).toBeLessThan(10 + FILE_NAME.length + 1)
    },
  )

  it('calls every shorter archive cut', async () => {
    const { gz } = await write(sample(150))
    for (let length = 0; length < gz.length; length += 1) {
      await expect(
        collect(readArchive(inChunks(gz.subarray(0, length), 97), 'set.s7.tar.gz')),
      ).rejects.toThrow(failure('E_CUT', 'set.s7.tar.gz'))
    }
  })

  it('calls an archive cut at the first byte of a further member cut', async () => {
    const gz = Buffer.concat([gzipSync('one'), gzipSync('two').subarray(0, 1)])
    await expect(collect(readArchive(inChunks(gz, 7), 'x'))).rejects.toThrow(failure('E_CUT', 'x'))
  })

  it.each([
    ['zeros', Buffer.alloc(600)],
    ['a zero', Buffer.alloc(1)],
    ['text', Buffer.from('rubbish')],
    ['half a magic number', Buffer.from([0x1f, 0])],
  ])('refuses %s after the end', async (_, more) => {
    const { gz } = await write(sample(1000))
    for (const chunk of [1, 13, gz.length, 65_536]) {
      const damaged = Buffer.concat([gz, more])
      await expect(collect(readArchive(inChunks(damaged, chunk), 'x'))).rejects.toThrow(
        expect.objectContaining({ code: 'E_INTEGRITY' }),
      )
    }
  })

  it('says when it is no gzip at all', async () => {
    for (const text of ['ustar', '\x1fx', 'x']) {
      const reading = collect(readArchive(inChunks(Buffer.from(text), 1), 'set.s7.tar.gz'))
      await expect(reading).rejects.toThrow(failure('E_FORMAT', 'set.s7.tar.gz: not a gzip'))
    }
  })

  it('pulls what it needs, and closes the archive when the consumer stops', async () => {
    const { gz } = await write(sample(8 * MIB))
    const state = { pulled: 0, closed: false }
    const reader = readArchive(inChunks(gz, 65_536, state), 'x')
    await reader.next()
    await sleep(10)
    expect(state.pulled).toBeLessThan(3)
    await reader.return()
    expect(state.closed).toBe(true)
  })

  it('passes the error of the archive on', async () => {
    const error = new Error('disk on fire')
    async function* broken() {
      yield (await write(sample(1000))).gz.subarray(0, 500)
      throw error
    }
    await expect(collect(readArchive(broken(), 'x'))).rejects.toBe(error)
  })

  it('has freed what it gave when the next is asked for', async () => {
    const tar = sample(6 * MIB)
    let last: Uint8Array = Buffer.alloc(1)
    let freed = 0
    let at = 0
    for await (const chunk of readArchive(inChunks(gzipSync(tar, { level: 1 }), 100_000), 'a')) {
      if (last.length === 0) freed++
      expect(Buffer.compare(chunk, tar.subarray(at, at + chunk.length))).toBe(0)
      at += chunk.length
      last = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    }
    expect(at).toBe(tar.length)
    expect(freed).toBeGreaterThanOrEqual(5)
  })

  it('inflates what is much larger than the archive without holding it', async () => {
    const zeros = Buffer.alloc(MIB)
    async function* tar() {
      for (let i = 0; i < 64; i += 1) yield zeros
    }
    const gz = await collect(new ArchiveWriter(tar(), { fileName: FILE_NAME }))
    let size = 0
    for await (const chunk of readArchive(inChunks(gz, gz.length), 'x')) {
      expect(chunk.length).toBeLessThanOrEqual(MIB)
      size += chunk.length
    }
    expect(size).toBe(64 * MIB)
  })
})

describe('readArchiveRange', async () => {
  const tar = sample(5 * MIB + 1234)
  const written = await write(tar)
  const offset = fc.oneof(
    fc.nat(tar.length),
    fc.tuple(fc.nat(5), fc.integer({ min: -1, max: 1 })).map(([i, d]) => Math.max(0, i * MIB + d)),
  )

  test.prop([offset, offset, fc.constantFrom<'gzip' | 'none'>('gzip', 'none')])(
    'gives any part of the tar',
    async (a, b) => {
      const [start, end] = a < b ? [a, b] : [b, a]
      const archive = seekable(written)
      const bytes = await collect(readArchiveRange(archive, { start, end }))
      expect(bytes.equals(tar.subarray(start, end))).toBe(true)
      expect(archive.reads).toBe(start === end ? 0 : 1)
    },
  )

  it('reads stored archives too', async () => {
    const archive = seekable(await write(tar, { compression: 'none' }))
    const bytes = await collect(readArchiveRange(archive, { start: MIB - 5, end: 3 * MIB + 5 }))
    expect(bytes.equals(tar.subarray(MIB - 5, 3 * MIB + 5))).toBe(true)
  })

  it('closes the archive when the consumer stops', async () => {
    const state = { closed: false }
    const archive = {
      ...seekable(written),
      read: () => inChunks(written.gz.subarray(written.summary.seekPoints[0]?.[1]), 1000, state),
    }
    for await (const _ of readArchiveRange(archive, { start: 0, end: tar.length })) break
    expect(state.closed).toBe(true)
  })

  it.each([
    [-1, 5],
    [5, 4],
    [0, 5 * MIB + 1235],
    [Number.NaN, 5],
  ])('refuses the range %d to %d', async (start, end) => {
    const reading = collect(readArchiveRange(seekable(written, 's7'), { start, end }))
    await expect(reading).rejects.toThrow(failure('E_FORMAT', 's7: bytes'))
  })

  it('ends in an error after any change of the archive that changes what it reads', async () => {
    const small = await write(sample(500))
    const right = gunzipSync(small.gz)
    for (let at = small.summary.seekPoints[0]?.[1] ?? 0; at < small.gz.length; at += 1) {
      const gz = Buffer.from(small.gz)
      gz[at] = (gz[at] ?? 0) ^ 0x20
      const archive = seekable({ ...small, gz })
      const outcome = await collect(readArchiveRange(archive, { start: 0, end: 500 })).catch(
        (error: unknown) => error,
      )
      if (!(outcome instanceof SnapError)) expect(outcome).toEqual(right)
    }
  })

  it('names the block whose bytes have another CRC', async () => {
    const blockCrcs = [...(written.summary.blockCrcs ?? [])]
    blockCrcs[1] = (blockCrcs[1] ?? 0) ^ 1
    const archive = { ...seekable(written), index: { ...written.summary, blockCrcs } }
    expect(await collect(readArchiveRange(archive, { start: 0, end: 10 }))).toHaveLength(10)
    const reading = collect(readArchiveRange(archive, { start: 0, end: MIB + 1 }))
    await expect(reading).rejects.toThrow(failure('E_INTEGRITY', 'its CRC is'))
  })

  it('calls an archive that ends too early cut', async () => {
    const gz = written.gz.subarray(0, written.gz.length - MIB / 2)
    const archive = seekable({ ...written, gz })
    const reading = collect(readArchiveRange(archive, { start: 0, end: tar.length }))
    await expect(reading).rejects.toThrow(failure('E_CUT', 'bytes before the block'))
  })

  it.each([
    ['no seek points', { seekPoints: [] }],
    ['points out of order', { seekPoints: [...written.summary.seekPoints].reverse() }],
    ['points beyond the archive', { gzSize: 1000 }],
    ['a giant block', { seekPoints: [[0, 33]] as const, tarSize: 2 ** 40, gzSize: 2 ** 40 }],
    ['no numbers', { seekPoints: [[0.5, Number.NaN]] as const }],
    ['a first point past the start', { seekPoints: written.summary.seekPoints.slice(1) }],
  ])('refuses an index with %s', async (_, change) => {
    const archive = { ...seekable(written), index: { ...written.summary, ...change } }
    const reading = collect(readArchiveRange(archive, { start: 0, end: 10 }))
    await expect(reading).rejects.toThrow(failure('E_FORMAT', 'seek point'))
  })

  it.each([1, -1])('refuses seek points of another archive (%d)', async (shift) => {
    const seekPoints = written.summary.seekPoints.map(
      ([tarAt, gzAt], i) => [i === 0 ? 0 : tarAt + shift, gzAt] as const,
    )
    const archive = { ...seekable(written), index: { ...written.summary, seekPoints } }
    const reading = collect(readArchiveRange(archive, { start: 0, end: 10 }))
    await expect(reading).rejects.toThrow(failure('E_INTEGRITY', 'block at offset'))
  })
})

describe('archiveAccess', async () => {
  const tar = sample(7 * MIB)
  const written = await write(tar)

  test.prop([fc.array(fc.tuple(fc.nat(5 * MIB), fc.nat(MIB)), { maxLength: 5 })], {
    numRuns: 20,
  })('reads like the file', async (reads) => {
    const start = MIB - 100
    const range = { start, end: tar.length - 3 }
    const access = archiveAccess(seekable(written), range, 'a.tsm')
    expect(access).toMatchObject({ name: 'a.tsm', size: 6 * MIB + 97 })
    const results = await Promise.all(reads.map(([at, length]) => access.read(at, length)))
    for (const [i, bytes] of results.entries()) {
      const [at, length] = reads[i] ?? [0, 0]
      expect(tar.subarray(start + at, start + at + length).equals(bytes)).toBe(true)
      const room = Buffer.alloc(length)
      await access.readInto?.(room, at)
      expect(room.equals(bytes)).toBe(true)
    }
    await access.close()
  })

  it('reads a footer without inflating what is before', async () => {
    const archive = seekable(written)
    const access = archiveAccess(archive, { start: 100, end: tar.length }, 'a.tsm')
    const footer = await access.read(access.size - 8, 8)
    expect(tar.subarray(-8).equals(footer)).toBe(true)
    await access.read(access.size - 5000, 4000)
    expect(archive.reads).toBe(1)
    await access.close()
    await access.close()
  })

  it('keeps four blocks', async () => {
    const archive = seekable(written)
    const access = archiveAccess(archive, { start: 0, end: tar.length }, 'a.tsm')
    for (const block of [0, 1, 2, 3, 0, 1, 2, 3]) await access.read(block * MIB, 10)
    expect(archive.reads).toBe(4)
    await access.read(4 * MIB, 10)
    await access.read(3 * MIB, 10)
    expect(archive.reads).toBe(5)
    await access.read(0, 10)
    expect(archive.reads).toBe(6)
  })

  it('tries again after a failure', async () => {
    const archive = seekable(written)
    let fail = true
    const flaky = {
      ...archive,
      read: (range: { start: number; end: number }) =>
        fail ? inChunks(new Uint8Array(0), 1) : archive.read(range),
    }
    const access = archiveAccess(flaky, { start: 0, end: tar.length }, 'a.tsm')
    await expect(access.read(0, 10)).rejects.toThrow(failure('E_CUT', 'archive'))
    fail = false
    expect(await access.read(0, 10)).toHaveLength(10)
  })

  it('refuses ranges outside', async () => {
    const archive = seekable(written)
    expect(() => archiveAccess(archive, { start: 0, end: tar.length + 1 }, 'a')).toThrow(
      failure('E_FORMAT', 'not in its'),
    )
    const access = archiveAccess(archive, { start: 5, end: 10 }, 'a.tsm')
    await expect(access.read(3, 3)).rejects.toThrow(failure('E_FORMAT', 'a.tsm'))
    await expect(access.read(-1, 1)).rejects.toThrow(failure('E_FORMAT', 'a.tsm'))
  })
})
