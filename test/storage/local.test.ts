import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { storeConformance } from './conformance.ts'

storeConformance('LocalStore over a directory to be made', async () => {
  return new LocalStore(join(await tempDir('store'), 'deep', 'er'))
})

storeConformance('LocalStore over an empty directory', async () => {
  return new LocalStore(await tempDir('store'))
})

async function* text(body: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(body)
}

async function drain(body: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of body);
}

const mode = async (path: string) => (await stat(path)).mode & 0o777
const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

describe('LocalStore', () => {
  it('makes directories 0700 and files 0600, whatever the umask', async () => {
    const root = await tempDir('store')
    const store = new LocalStore(join(root, 'a', 'b'))
    const staged = await store.stage('x', text('secret'))
    expect(await mode(join(root, 'a'))).toBe(0o700)
    expect(await mode(join(root, 'a', 'b'))).toBe(0o700)
    expect(await mode(join(root, 'a', 'b', 'x.pending'))).toBe(0o600)
    await staged.publish()
    expect(await mode(join(root, 'a', 'b', 'x'))).toBe(0o600)
  })

  it('makes a directory that several runs want at once', async () => {
    const path = join(await tempDir('store'), 'a', 'b', 'c', 'd')
    const stores = Array.from({ length: 8 }, () => new LocalStore(path))
    const reserved = await Promise.all(stores.map((store, i) => store.reserve(`x${i}`, '')))
    expect(reserved).toEqual(stores.map(() => true))
  })

  it('writes over what a dead run left, which was longer and open to all', async () => {
    const root = await tempDir('store')
    await writeFile(join(root, 'x.pending'), 'stale and long')
    await chmod(join(root, 'x.pending'), 0o666)
    await (await new LocalStore(root).stage('x', text('new'))).publish()
    expect(await readFile(join(root, 'x'), 'utf8')).toBe('new')
    expect(await mode(join(root, 'x'))).toBe(0o600)
  })

  it('does not write through a symbolic link', async () => {
    const root = await tempDir('store')
    await writeFile(join(root, 'victim'), 'precious')
    await symlink(join(root, 'victim'), join(root, 'x.pending'))
    const run = new LocalStore(root).stage('x', text('new'))
    await expect(run).rejects.toEqual(failure('E_DESTINATION', /x\.pending: ELOOP/))
    expect(await readFile(join(root, 'victim'), 'utf8')).toBe('precious')
  })

  it('removes on abandon all directories that it made, and no other', async () => {
    const root = await tempDir('store')
    const store = new LocalStore(join(root, 'a', 'b'))
    await (await store.stage('x', text('new'))).discard()
    await store.abandon()
    expect(await readdir(root)).toEqual([])
    await mkdir(join(root, 'mine'))
    const other = new LocalStore(join(root, 'mine'))
    await (await other.stage('x', text('new'))).discard()
    await other.abandon()
    expect(await readdir(root)).toEqual(['mine'])
  })

  it('lists files only, following links, and passes over what leads nowhere', async () => {
    const root = await tempDir('store')
    await mkdir(join(root, 'directory'))
    await writeFile(join(root, 'file'), '123')
    await symlink(join(root, 'file'), join(root, 'link'))
    await symlink(join(root, 'nothing'), join(root, 'dangling'))
    const found: string[] = []
    for await (const { name, size } of new LocalStore(root).list()) found.push(`${name} ${size}`)
    expect(found.sort()).toEqual(['file 3', 'link 3'])
    expect(await new LocalStore(root).stat('directory')).toBeUndefined()
  })

  it('says why a place cannot be used', async () => {
    const root = await tempDir('store')
    const file = join(root, 'file')
    await writeFile(file, 'x')
    const onFile = new LocalStore(file)
    await expect(drain(onFile.list())).rejects.toEqual(failure('E_SOURCE', /file: ENOTDIR/))
    await expect(onFile.stat('x')).rejects.toEqual(failure('E_SOURCE', /ENOTDIR/))
    await expect(drain(onFile.read('x'))).rejects.toEqual(failure('E_SOURCE', /ENOTDIR/))
    const destination = failure('E_DESTINATION', /file: (EEXIST|ENOTDIR)/)
    await expect(onFile.stage('x', text('x'))).rejects.toEqual(destination)
    await expect(onFile.reserve('x', '')).rejects.toEqual(destination)
    await onFile.delete('x')
    await mkdir(join(root, 'd'))
    const store = new LocalStore(root)
    await expect(store.delete('d')).rejects.toEqual(failure('E_DESTINATION', /directory/))
    await expect(drain(store.read('d'))).rejects.toEqual(failure('E_SOURCE', /EISDIR/))
  })

  it('pulls the next chunk only when the last one is written', async () => {
    const root = await tempDir('store')
    const seen: number[] = []
    async function* watching(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 5; n += 1) {
        if (n > 0) seen.push((await stat(join(root, 'x.pending'))).size)
        yield Buffer.alloc(1000)
      }
    }
    await new LocalStore(root).stage('x', watching())
    expect(seen).toEqual([1000, 2000, 3000, 4000])
  })
})

it('gives up where no directory can be made', async () => {
  const store = new LocalStore('/proc/no/such/place')
  await expect(store.reserve('x', '')).rejects.toMatchObject({ code: 'E_DESTINATION' })
})
