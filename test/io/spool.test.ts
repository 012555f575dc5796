import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { bytesAccess } from '../../src/io/random-access.ts'
import { LARGE_RECYCLED_SIZE, RECYCLED_SIZE, takeBuffer } from '../../src/io/recycled.ts'
import { readAll, readLarge, SPOOL_MEMORY, Spool, spool, spoolOfPart } from '../../src/io/spool.ts'

let tempDir = ''
beforeAll(async () => {
  tempDir = await mkdtemp(join(tmpdir(), 'snap-spool-'))
})
afterAll(() => rm(tempDir, { recursive: true }))

async function* body(...chunks: string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

async function text(source: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts).toString()
}

describe('spool', () => {
  it.each([0, 4, 100])(
    'reads back what was written with %d bytes of memory',
    async (memoryLimit) => {
      const bytes = await spool(body('abc', 'def', 'g'), { name: 'x', tempDir, memoryLimit })
      expect(bytes.size).toBe(7)
      expect(Buffer.from(await bytes.read(2, 3)).toString()).toBe('cde')
      expect(await text(readAll(bytes, 1, 2))).toBe('bcdefg')
      expect(await readdir(tempDir)).toEqual([])
      await bytes.close()
    },
  )

  it('holds nothing at first', async () => {
    const empty = await spool(body(), { name: 'x', tempDir })
    expect(empty.size).toBe(0)
    expect(await text(readAll(empty))).toBe('')
  })

  it.each([0, 100])(
    'takes a chunk whose memory is used again, with %d bytes of memory',
    async (memoryLimit) => {
      const target = new Spool({ name: 'x', tempDir, memoryLimit })
      const chunk = takeBuffer().subarray(0, 3)
      chunk.set(Buffer.from('abc'))
      await target.consume(chunk)
      const again = takeBuffer()
      expect(again.buffer).toBe(chunk.buffer)
      again.fill(0)
      expect(await text(readAll(target.access()))).toBe('abc')
      await target.close()
    },
  )

  it.each([
    { of: 'a small file in memory', size: SPOOL_MEMORY, inMemory: true },
    { of: 'a large file in a file at once', size: SPOOL_MEMORY + 1, inMemory: false },
  ])('keeps what is left of $of', async ({ size, inMemory }) => {
    const target = spoolOfPart({ name: 'x', tempDir, size })
    await target.write(Buffer.from('abc'))
    expect(target.access().place === undefined).toBe(inMemory)
    expect(await text(readAll(target.access()))).toBe('abc')
    await target.close()
  })

  it('says where it could not write', async () => {
    const target = new Spool({ name: 'x.tsm', tempDir: join(tempDir, 'gone'), memoryLimit: 1 })
    await expect(target.write(Buffer.from('ab'))).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('x.tsm: temporary file in'),
    })
    await target.close()
  })

  it('leaves nothing behind when the body fails', async () => {
    const failing = (async function* () {
      yield Buffer.from('abc')
      throw new Error('cut')
    })()
    await expect(spool(failing, { name: 'x', tempDir, memoryLimit: 1 })).rejects.toThrow('cut')
    expect(await readdir(tempDir)).toEqual([])
  })
})

describe('a file of a spool', () => {
  /** Spools text, which goes into a file. */
  const spooled = (text: string) => spool(body(text), { name: 'x', tempDir, memoryLimit: 1 })

  it('is used again, for what was written last', async () => {
    const long = await spooled('a long text')
    await long.close()
    const [short, other] = [await spooled('short'), await spooled('other one')]
    expect(await text(readAll(short))).toBe('short')
    expect(await text(readAll(other))).toBe('other one')
    await expect(short.read(0, 6)).rejects.toMatchObject({ code: 'E_FORMAT' })
    await short.close()
    await other.close()
  })

  it('cannot be read by who has closed it', async () => {
    const closed = await spooled('text')
    await closed.close()
    const next = await spooled('next')
    await expect(closed.read(0, 4)).rejects.toMatchObject({ code: 'E_FAILED' })
    await closed.close()
    expect(await text(readAll(next))).toBe('next')
    await next.close()
  })

  test.prop([
    fc.array(fc.array(fc.string({ minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 8,
    }),
    fc.boolean(),
  ])('holds what was written into it, of several at the same time', async (texts, together) => {
    const check = async (parts: readonly string[]) => {
      const bytes = await spool(body(...parts), { name: 'x', tempDir, memoryLimit: 1 })
      expect(await text(readAll(bytes, 0, 7))).toBe(parts.join(''))
      await bytes.close()
    }
    if (together) await Promise.all(texts.map(check))
    else for (const parts of texts) await check(parts)
  })

  it('is closed when nobody needs it', async () => {
    const files = async () => {
      const links = await readdir('/proc/self/fd')
      const paths = await Promise.all(
        links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      )
      return paths.filter((path) => path.startsWith(tempDir)).length
    }
    const all = await Promise.all(Array.from({ length: 9 }, (_, i) => spooled(`text ${i}`)))
    for (const one of all) await one.close()
    expect(await files()).toBeLessThanOrEqual(4)
    await vi.waitFor(async () => expect(await files()).toBe(0), { timeout: 10_000 })
  })
})

describe('a spool that is told how much comes', () => {
  it.each([
    { size: 7, memoryLimit: 100 },
    { size: 7, memoryLimit: 3 },
    { size: 2, memoryLimit: 4 },
    { size: 1000, memoryLimit: 2000 },
  ])('reads back what came, and not what was told: %o', async (options) => {
    const chunks = ['abc', 'def', 'g'].map((text) => Buffer.from(text))
    const target = new Spool({ name: 'x', tempDir, ...options })
    for (const chunk of chunks) {
      await target.write(chunk)
      chunk.fill(0)
    }
    const bytes = target.access()
    expect(bytes.size).toBe(7)
    expect(Buffer.from(await bytes.read(0, 7)).toString()).toBe('abcdefg')
    await target.close()
  })
})

describe('readLarge', () => {
  const size = 2 * LARGE_RECYCLED_SIZE + 7
  const bytes = Buffer.alloc(size, 'snap')
  const source = {
    ...bytesAccess(bytes, 'source'),
    readInto: async (into: Uint8Array, offset: number) =>
      into.set(bytes.subarray(offset, offset + into.length)),
  }

  it('gives large pieces, and smaller ones while many files are read', async () => {
    const others = Array.from({ length: 2 }, () => readLarge(source))
    for (const other of others) await other.next()
    const mine = readLarge(source)
    const first = (await mine.next()).value ?? new Uint8Array(0)
    expect(first).toHaveLength(RECYCLED_SIZE)
    for (const other of others) await other.return(undefined)
    const pieces = [first]
    for await (const piece of mine) pieces.push(piece)
    expect(pieces.map(({ length }) => length)).toEqual([
      ...[RECYCLED_SIZE, LARGE_RECYCLED_SIZE, LARGE_RECYCLED_SIZE - RECYCLED_SIZE + 7],
    ])
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  })
})
