import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import {
  createExclusively,
  fsyncDirectory,
  publishFile,
  writeFileDurably,
  writeFileSynced,
} from '../../src/io/durable.ts'
import { tempDir } from '../helpers/temp.ts'
import { tinyFileSystem } from '../helpers/tiny-file-system.ts'

const links = vi.hoisted(() => ({ refused: undefined as string | undefined }))
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>()
  const link: typeof real.link = async (from, to) => {
    if (links.refused === undefined) return await real.link(from, to)
    throw Object.assign(new Error(`${links.refused}: no links here`), { code: links.refused })
  }
  return { ...real, link }
})
afterEach(() => {
  links.refused = undefined
})

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

async function* chunks(...bodies: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const body of bodies) yield Buffer.from(body)
}

describe('writeFileDurably', () => {
  it('replaces a file whole, with the mode asked for', async () => {
    const path = join(await tempDir(), 'meta.db')
    await writeFile(path, 'old and longer')
    expect(await writeFileDurably(path, Buffer.from('new'))).toBe(3)
    expect(await readFile(path, 'utf8')).toBe('new')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await writeFileDurably(path, chunks('a', '', 'bc'), { mode: 0o666 })).toBe(3)
    expect((await stat(path)).mode & 0o777).toBe(0o666)
    expect(await readFile(path, 'utf8')).toBe('abc')
  })

  it('leaves the old file and nothing else when the body fails', async () => {
    const dir = await tempDir()
    const path = join(dir, 'meta.db')
    await writeFile(path, 'old')
    const lost = new SnapError('E_CUT', 'gone')
    let cleaned = false
    async function* failing(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('new')
        throw lost
      } finally {
        cleaned = true
      }
    }
    await expect(writeFileDurably(path, failing())).rejects.toBe(lost)
    expect(cleaned).toBe(true)
    expect(await readdir(dir)).toEqual(['meta.db'])
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  it('names the path and the reason of what the system refuses', async () => {
    const dir = await tempDir()
    await mkdir(join(dir, 'directory'))
    const run = writeFileDurably(join(dir, 'directory'), Buffer.from('x'))
    await expect(run).rejects.toEqual(failure('E_DESTINATION', /directory: EISDIR/))
    expect(await readdir(dir)).toEqual(['directory'])
    const missing = writeFileDurably(join(dir, 'no', 'x'), Buffer.from('x'))
    await expect(missing).rejects.toEqual(failure('E_DESTINATION', /no\/x\.pending: ENOENT/))
  })

  it('hints at a full file system and leaves nothing on it', async ({ skip }) => {
    const dir = await tinyFileSystem('256k')
    if (dir === undefined) return skip('no permission to mount')
    let released = false
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(100_000)
      } finally {
        released = true
      }
    }
    const error = await writeFileDurably(join(dir, 'x'), endless()).catch((thrown) => thrown)
    expect(error).toEqual(failure('E_DESTINATION', /x\.pending: ENOSPC/))
    expect(error.hint).toMatch(/free some space/)
    expect(released).toBe(true)
    expect(await readdir(dir)).toEqual([])
  })
})

describe('writeFileSynced', () => {
  it('ends with the reason of its signal while the body hangs or between chunks', async () => {
    const dir = await tempDir()
    const abort = new AbortController()
    const reason = new SnapError('E_TERMINATED', 'terminated')
    async function* hanging(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x')
      setTimeout(() => abort.abort(reason), 5)
      await new Promise(() => {})
    }
    const { signal } = abort
    await expect(writeFileSynced(join(dir, 'a'), hanging(), { signal })).rejects.toBe(reason)
    await expect(writeFileSynced(join(dir, 'b'), chunks('x'), { signal })).rejects.toBe(reason)
    expect(await readdir(dir)).toEqual([])
  })

  it('has the whole file looked at, and removes one that is refused', async () => {
    const dir = await tempDir()
    const path = join(dir, 'a')
    let seen = ''
    const check = async () => {
      seen = await readFile(path, 'utf8')
    }
    expect(await writeFileSynced(path, chunks('one', 'two'), { check })).toBe(6)
    expect(seen).toBe('onetwo')
    const reason = new SnapError('E_INTEGRITY', 'damaged')
    const refuse = () => Promise.reject(reason)
    await expect(writeFileSynced(path, chunks('x'), { check: refuse })).rejects.toBe(reason)
    expect(await readdir(dir)).toEqual([])
  })

  it('takes any iterable, one without return too, and keeps no listeners', async () => {
    const path = join(await tempDir(), 'x')
    const { signal } = new AbortController()
    let left = 2000
    const body: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          left -= 1
          return left < 0
            ? { done: true, value: undefined }
            : { done: false, value: Buffer.alloc(1) }
        },
      }),
    }
    const warnings: Error[] = []
    process.on('warning', (warning) => warnings.push(warning))
    expect(await writeFileSynced(path, body, { signal })).toBe(2000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
  })
})

describe('publishFile', () => {
  it('moves a file to a free name and never over another', async () => {
    const dir = await tempDir()
    await writeFile(join(dir, 'a.pending'), 'a')
    await publishFile(join(dir, 'a.pending'), join(dir, 'a'))
    expect(await readdir(dir)).toEqual(['a'])
    await writeFile(join(dir, 'a.pending'), 'b')
    const run = publishFile(join(dir, 'a.pending'), join(dir, 'a'))
    await expect(run).rejects.toEqual(failure('E_TARGET_EXISTS', /a is there already/))
    expect(await readFile(join(dir, 'a'), 'utf8')).toBe('a')
    const missing = publishFile(join(dir, 'no'), join(dir, 'b'))
    await expect(missing).rejects.toEqual(failure('E_DESTINATION', /b: ENOENT/))
  })
})

describe('publishFile without hard links', () => {
  it.each(['EPERM', 'ENOTSUP', 'ENOSYS'])('does the same after %s', async (errno) => {
    links.refused = errno
    const dir = await tempDir()
    await writeFile(join(dir, 'a.pending'), 'a')
    await publishFile(join(dir, 'a.pending'), join(dir, 'a'))
    expect(await readdir(dir)).toEqual(['a'])
    await writeFile(join(dir, 'a.pending'), 'b')
    const run = publishFile(join(dir, 'a.pending'), join(dir, 'a'))
    await expect(run).rejects.toEqual(failure('E_TARGET_EXISTS', /a is there already/))
    expect(await readFile(join(dir, 'a'), 'utf8')).toBe('a')
    const missing = publishFile(join(dir, 'no'), join(dir, 'b'))
    await expect(missing).rejects.toEqual(failure('E_DESTINATION', /b: ENOENT/))
  })
})

describe('createExclusively', () => {
  it.each([undefined, 'EPERM'])(
    'is true for one of many, with links refused: %s',
    async (errno) => {
      links.refused = errno
      const dir = await tempDir()
      const path = join(dir, 'x')
      const make = (text: string) => createExclusively(path, { text })
      const made = await Promise.all(['0', '1', '2', '3', '4'].map(make))
      expect(made.filter(Boolean)).toHaveLength(1)
      expect(await readFile(path, 'utf8')).toBe(String(made.indexOf(true)))
      expect((await stat(path)).mode & 0o777).toBe(0o600)
      expect(await readdir(dir)).toEqual(['x'])
      const run = createExclusively(join(path, 'below'))
      await expect(run).rejects.toEqual(failure('E_DESTINATION', /ENOTDIR/))
    },
  )
})

describe('fsyncDirectory', () => {
  it('leaves it to file systems whether a directory can be synced', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs /proc, where fsync is refused')
    await expect(fsyncDirectory('/proc/self')).resolves.toBeUndefined()
  })

  it('syncs a directory and says when there is none', async () => {
    const dir = await tempDir()
    await fsyncDirectory(dir)
    const run = fsyncDirectory(join(dir, 'no'))
    await expect(run).rejects.toEqual(failure('E_DESTINATION', /no: ENOENT/))
  })
})
