import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fc, test } from '@fast-check/vitest'
import { afterEach, expect, it, vi } from 'vitest'
import { writeFileSynced } from '../../src/io/durable.ts'
import { LargeFile } from '../../src/io/large-file.ts'
import { tempDir } from '../helpers/temp.ts'
import { tinyFileSystem } from '../helpers/tiny-file-system.ts'

const MIB = 1024 * 1024
const BYTES = randomBytes(5 * MIB)

/** What a file system does with direct writes; they are counted. */
const system = vi.hoisted(() => ({
  answer: 'writes' as 'writes' | 'EINVAL' | 'ENOTSUP' | 'EIO' | 'half',
  writes: 0,
  /** As NFS does, which says then what it could not write. */
  failsToClose: false,
}))
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>()
  const openReal: typeof real.open = async (path, flags, mode) => {
    const handle = await real.open(path, flags, mode)
    return typeof flags === 'number' && (flags & constants.O_DIRECT) > 0 ? watched(handle) : handle
  }
  return { ...real, open: openReal }
})
afterEach(() => {
  system.answer = 'writes'
  system.writes = 0
  system.failsToClose = false
})

function watched(handle: FileHandle): FileHandle {
  const write = handle.write.bind(handle)
  const answered = async (bytes: Uint8Array, offset: number, length: number, at: number) => {
    system.writes += 1
    const { answer } = system
    if (answer === 'writes') return await write(bytes, offset, length, at)
    if (answer === 'half') return await write(bytes, offset, length / 2, at)
    throw Object.assign(new Error(`${answer}: refused`), { code: answer })
  }
  const close = handle.close.bind(handle)
  const closed = async () => {
    await close()
    if (system.failsToClose) throw Object.assign(new Error('EDQUOT: refused'), { code: 'EDQUOT' })
  }
  return Object.assign(handle, { write: answered, close: closed })
}

/** Writes pieces that are gone as soon as they were taken; returns what the file holds then. */
async function written(pieces: readonly Uint8Array[], cached?: number): Promise<Buffer> {
  const path = join(await tempDir(), 'large')
  const handle = await open(path, 'wx')
  const file = new LargeFile(handle, cached)
  try {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece)
      await file.write(bytes)
      bytes.fill(0)
    }
    await file.flush()
    expect(file.size).toBe(Buffer.concat(pieces).length)
    return await readFile(path)
  } finally {
    await file.close()
    await handle.close()
  }
}

/** Cuts `size` bytes into pieces of `length`. */
function cut(size: number, length: number): Uint8Array[] {
  const count = Math.ceil(size / length)
  return Array.from({ length: count }, (_, i) =>
    BYTES.subarray(i * length, Math.min(size, (i + 1) * length)),
  )
}

const PIECES = fc.array(
  fc
    .oneof(fc.nat(10_000), fc.constantFrom(4096, MIB), fc.nat(2 * MIB))
    .map((size) => BYTES.subarray(0, size)),
  { maxLength: 8 },
)

test.prop([PIECES, fc.oneof(fc.nat(10_000), fc.constantFrom(0, 4096, MIB))], { numRuns: 40 })(
  'holds what was written, wherever its parts end',
  async (pieces, cached) => {
    expect((await written(pieces, cached)).equals(Buffer.concat(pieces))).toBe(true)
  },
)

it('keeps the first four megabytes in memory and writes the rest past it', async () => {
  expect((await written(cut(4 * MIB, 300_000))).length).toBe(4 * MIB)
  expect(system.writes).toBe(0)
  const large = await written(cut(5 * MIB, 300_000))
  expect(large.equals(BYTES)).toBe(true)
  expect(system.writes).toBeGreaterThan(0)
})

it.each(['EINVAL', 'ENOTSUP', 'half'] as const)(
  'writes what is left as usual: %s',
  async (answer) => {
    system.answer = answer
    const file = await written(cut(5 * MIB, 300_000), 10_000)
    expect(file.equals(BYTES)).toBe(true)
    // One refusal is enough.
    expect(system.writes).toBe(answer === 'half' ? 5 : 1)
  },
)

it('writes to what takes no direct writes', async () => {
  const handle = await open('/dev/null', 'w')
  const file = new LargeFile(handle, 0)
  for (const piece of cut(3 * MIB, MIB)) await file.write(piece)
  await file.flush()
  expect(system.writes).toBe(0)
  await file.close()
  await handle.close()
})

it('passes the error of a write on, at the latest when all is to be there', async () => {
  system.answer = 'EIO'
  await expect(written([BYTES.subarray(0, MIB)], 0)).rejects.toThrow(/EIO/)
  await expect(written(cut(5 * MIB, 300_000), 0)).rejects.toThrow(/EIO/)
})

it('fails where the file cannot be closed, and leaves neither file nor descriptors', async () => {
  const directory = await tempDir()
  const path = join(directory, 'large')
  const openFiles = async () =>
    (await Promise.all((await readdir('/proc/self/fd')).map(targetOf))).filter((target) =>
      target.startsWith(path),
    )
  const targetOf = (fd: string) => readlink(`/proc/self/fd/${fd}`).catch(() => '')
  const body = async function* () {
    yield* cut(5 * MIB, MIB)
    system.failsToClose = true
    expect(await openFiles()).toHaveLength(2)
  }
  await expect(writeFileSynced(path, body())).rejects.toMatchObject({
    code: 'E_DESTINATION',
    message: `${path}: EDQUOT: refused`,
    hint: 'free some space there or choose another place',
  })
  expect(await readdir(directory)).toEqual([])
  expect(await openFiles()).toEqual([])
})

it('tells that a file system is full', async ({ skip }) => {
  const directory = await tinyFileSystem('4m')
  if (directory === undefined) return skip('no permission to mount')
  const handle = await open(join(directory, 'x'), 'wx')
  const file = new LargeFile(handle, 4096)
  const run = async () => {
    for (const piece of cut(5 * MIB, MIB)) await file.write(piece)
    await file.flush()
  }
  await expect(run()).rejects.toThrow(/ENOSPC/)
  await file.close()
  await handle.close()
})
