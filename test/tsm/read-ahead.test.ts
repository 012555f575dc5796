import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bytesAccess, fileAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { ReadAhead } from '../../src/tsm/read-ahead.ts'

const BYTES = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) % 251)

let folder: string
let file: RandomAccess
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'snap-ahead-'))
  await writeFile(join(folder, 'bytes'), BYTES)
  file = await fileAccess(join(folder, 'bytes'))
})
afterAll(async () => {
  await file.close()
  await rm(folder, { recursive: true })
})

test.prop([
  fc.array(fc.tuple(fc.nat(BYTES.length), fc.nat(600)), { maxLength: 30 }),
  fc.integer({ min: 1, max: 1000 }),
  fc.boolean(),
])('returns the bytes that are asked for', async (wanted, size, inMemory) => {
  const source = inMemory ? bytesAccess(BYTES, 'x') : file
  const ahead = new ReadAhead(source, BYTES.length, size)
  for (const [offset, most] of wanted) {
    const length = Math.min(most, BYTES.length - offset)
    const got = ahead.peek(offset, length) ?? (await ahead.fetch(offset, length))
    expect([...got]).toEqual([...BYTES.subarray(offset, offset + length)])
  }
})

it('reads a file into the same memory again', async () => {
  const ahead = new ReadAhead(file, BYTES.length, 1000)
  const first = await ahead.fetch(0, 10)
  const second = await ahead.fetch(2000, 10)
  expect(second.buffer).toBe(first.buffer)
})

it('reads into memory that another one has released, if it reads as much at once', async () => {
  const MIB = 1024 * 1024
  await writeFile(join(folder, 'large'), Buffer.alloc(MIB, 'ab'))
  const large = await fileAccess(join(folder, 'large'))
  const open = (size: number) => new ReadAhead(large, MIB, size)
  const [first, small] = [open(MIB), open(1000)]
  const { buffer } = await first.fetch(0, 10)
  first.release()
  first.release()
  expect(first.peek(0, 10)).toBeUndefined()
  expect((await small.fetch(0, 10)).buffer).not.toBe(buffer)
  small.release()
  const [next, other] = [open(MIB), open(MIB)]
  expect((await next.fetch(0, 10)).buffer).toBe(buffer)
  expect((await other.fetch(0, 10)).buffer).not.toBe(buffer)
  expect(Buffer.from(await first.fetch(1, 2)).toString()).toBe('ba')
  await large.close()
})

it('does not take for read what could not be read', async () => {
  const ahead = new ReadAhead(file, BYTES.length + 1000, 1000)
  await ahead.fetch(0, 10)
  await expect(ahead.fetch(4500, 10)).rejects.toMatchObject({ code: 'E_FORMAT' })
  expect(ahead.peek(0, 10)).toBeUndefined()
})
