import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAll, Spool, spool } from '../../src/io/spool.ts'

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
