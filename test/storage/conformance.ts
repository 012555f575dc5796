import { createHash, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import type { Store } from '../../src/storage/index.ts'

const text = (body: string) => bytes(Buffer.from(body))

async function* bytes(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function* never(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('first')
  await new Promise(() => {})
}

async function contents(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function names(store: Store, prefix?: string): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list(undefined, prefix)) found.push(name)
  return found.sort()
}

async function put(store: Store, name: string, body: string): Promise<void> {
  await (await store.stage(name, text(body))).publish()
}

const failure = (code: string) => expect.objectContaining({ name: 'SnapError', code })

/**
 * What every {@link Store} does.
 * @param make returns a store over a new place that does not exist yet
 */
export function storeConformance(title: string, make: () => Promise<Store>): void {
  describe(title, () => {
    let store: Store
    beforeEach(async () => {
      store = await make()
    })

    it('lists nothing where nothing is', async () => {
      expect(await names(store)).toEqual([])
      expect(await store.stat('a')).toBeUndefined()
    })

    it('reads what is staged, or says that it cannot', async () => {
      const staged = await store.stage('a', text('hello'))
      if (staged.read === undefined) return
      expect((await contents(staged.read({ start: 1, end: 4 }))).toString()).toBe('ell')
      await expect(contents(staged.read({ start: 1, end: 9 }))).rejects.toEqual(
        failure('E_INTEGRITY'),
      )
      await staged.discard()
    })

    it('shows staged bytes under their name only once they are published', async () => {
      const staged = await store.stage('a.manifest', text('hello'))
      expect(staged).toMatchObject({ name: 'a.manifest', size: 5 })
      expect(await store.stat('a.manifest')).toBeUndefined()
      expect((await names(store)).every((name) => name === 'a.manifest.pending')).toBe(true)
      await staged.publish()
      expect(await names(store)).toEqual(['a.manifest'])
      expect((await contents(store.read('a.manifest'))).toString()).toBe('hello')
      expect(await store.stat('a.manifest')).toMatchObject({ name: 'a.manifest', size: 5 })
    })

    it('tells size and time of what it lists', async () => {
      await put(store, 'a', '12345')
      for await (const object of store.list()) {
        expect(object).toMatchObject({ name: 'a', size: 5 })
        expect(Math.abs(object.modified.getTime() - Date.now())).toBeLessThan(60_000)
      }
    })

    it('lists only the names that begin as asked for', async () => {
      for (const name of ['snap-a', 'snap-b', 'snap', 'sna', '2snap-', 'sNap-c']) {
        await put(store, name, 'x')
      }
      expect(await names(store, 'snap-')).toEqual(['snap-a', 'snap-b'])
      expect(await names(store, 'x')).toEqual([])
    })

    it('keeps bytes exactly, also many of them in odd chunks, and an empty body', async () => {
      const big = randomBytes(9 * 1024 * 1024 + 17)
      const parts = [big.subarray(0, 1), big.subarray(1, 5_000_001), big.subarray(5_000_001)]
      await (await store.stage('big', bytes(...parts))).publish()
      const hash = createHash('sha256')
      for await (const chunk of store.read('big')) hash.update(chunk)
      expect(hash.digest('hex')).toBe(createHash('sha256').update(big).digest('hex'))
      await (await store.stage('empty', bytes())).publish()
      expect((await contents(store.read('empty'))).length).toBe(0)
      expect(await store.stat('empty')).toMatchObject({ size: 0 })
    })

    it('takes names as they are: spaces, percent signs, unicode', async () => {
      const odd = ['a b', '%2e', 'ünï+&?#', "q'uote.tar.gz"].sort()
      for (const name of odd) await put(store, name, name)
      expect(await names(store)).toEqual(odd)
      for (const name of odd) expect((await contents(store.read(name))).toString()).toBe(name)
    })

    it('reads exactly the range asked for', async () => {
      await put(store, 'a', '0123456789')
      const range = async (start: number, end: number) =>
        (await contents(store.read('a', { start, end }))).toString()
      expect(await range(0, 10)).toBe('0123456789')
      expect(await range(3, 5)).toBe('34')
      expect(await range(9, 10)).toBe('9')
      expect(await range(4, 4)).toBe('')
      await expect(range(8, 11)).rejects.toEqual(failure('E_INTEGRITY'))
      await expect(range(20, 21)).rejects.toEqual(failure('E_INTEGRITY'))
    })

    it('says that something is missing, before and after other things are there', async () => {
      await expect(contents(store.read('no'))).rejects.toEqual(failure('E_INTEGRITY'))
      await put(store, 'a', 'x')
      await expect(contents(store.read('no'))).rejects.toEqual(failure('E_INTEGRITY'))
    })

    it('never publishes over what is there', async () => {
      await put(store, 'a', 'old')
      const staged = await store.stage('a', text('new'))
      await expect(staged.publish()).rejects.toEqual(failure('E_TARGET_EXISTS'))
      await staged.discard()
      expect(await names(store)).toEqual(['a'])
      expect((await contents(store.read('a'))).toString()).toBe('old')
    })

    it('keeps what is unfinished beside a name that was only taken, until it is discarded', async () => {
      const staged = await store.stage('a', text('hello'))
      if (staged.takeName === undefined) return
      await staged.takeName()
      expect(await names(store)).toEqual(['a', 'a.pending'])
      await staged.discard()
      await staged.discard()
      expect(await names(store)).toEqual(['a'])
      const second = await store.stage('a', text('other'))
      await expect(second.takeName?.()).rejects.toEqual(failure('E_TARGET_EXISTS'))
      await second.discard()
      expect((await contents(store.read('a'))).toString()).toBe('hello')
    })

    it('leaves nothing of what is discarded, also when told twice', async () => {
      const staged = await store.stage('a', text('x'))
      await staged.discard()
      await staged.discard()
      expect(await names(store)).toEqual([])
    })

    it('keeps what is published when it is discarded afterwards', async () => {
      const staged = await store.stage('a', text('x'))
      await staged.publish()
      await staged.discard()
      expect(await names(store)).toEqual(['a'])
    })

    it('passes an error of the body unchanged and leaves nothing', async () => {
      const lost = new SnapError('E_CUT', 'the source went away')
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(6 * 1024 * 1024)
        throw lost
      }
      await expect(store.stage('a', failing())).rejects.toBe(lost)
      expect(await names(store)).toEqual([])
    })

    it('can stage a name again after a failed try', async () => {
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('longer than the second try')
        throw new SnapError('E_CUT', 'the source went away')
      }
      await expect(store.stage('a', failing())).rejects.toEqual(failure('E_CUT'))
      await put(store, 'a', 'second')
      expect((await contents(store.read('a'))).toString()).toBe('second')
    })

    it('stops waiting for a body that hangs, with the reason, and leaves nothing', async () => {
      const reason = new SnapError('E_INTERRUPTED', 'interrupted')
      const abort = new AbortController()
      setTimeout(() => abort.abort(reason), 20)
      await expect(store.stage('a', never(), abort.signal)).rejects.toBe(reason)
      expect(await names(store)).toEqual([])
    })

    it('does nothing for a signal that is aborted already', async () => {
      await put(store, 'a', 'x')
      const signal = AbortSignal.abort(new SnapError('E_INTERRUPTED', 'interrupted'))
      const interrupted = failure('E_INTERRUPTED')
      await expect(store.stage('b', text('x'), signal)).rejects.toEqual(interrupted)
      await expect(contents(store.read('a', undefined, signal))).rejects.toEqual(interrupted)
      const listing = (async () => {
        for await (const _ of store.list(signal));
      })()
      await expect(listing).rejects.toEqual(interrupted)
      expect(await names(store)).toEqual(['a'])
    })

    it('gives a name to one of many that want it', async () => {
      const taken = await Promise.all(Array.from({ length: 20 }, () => store.reserve('a', '')))
      expect(taken.filter(Boolean)).toHaveLength(1)
      expect((await names(store)).every((name) => name.endsWith('.pending'))).toBe(true)
      expect(await store.stat('a')).toBeUndefined()
    })

    it('ends a reservation by publishing, discarding or deleting it', async () => {
      expect(await store.reserve('a', '')).toBe(true)
      await put(store, 'a', 'x')
      expect(await names(store)).toEqual(['a'])
      expect(await store.reserve('b', '')).toBe(true)
      await (await store.stage('b', text('x'))).discard()
      expect(await store.reserve('b', '')).toBe(true)
      await store.delete('b.pending')
      expect(await names(store)).toEqual(['a'])
    })

    it('does not give away a name that is published', async () => {
      await put(store, 'a', 'x')
      expect(await store.reserve('a', '')).toBe(false)
      expect(await names(store)).toEqual(['a'])
    })

    it('makes a small object once', async () => {
      const made = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.create('a', `${i}`)),
      )
      expect(made.filter(Boolean)).toHaveLength(1)
      expect((await contents(store.read('a'))).toString()).toBe(`${made.indexOf(true)}`)
      expect(await names(store)).toEqual(['a'])
    })

    it('replaces a small object, and tells when', async () => {
      expect(await store.create('a', 'first, and longer')).toBe(true)
      const written = await store.write('a', 'second')
      expect(written).toEqual(await store.stat('a'))
      expect(written).toMatchObject({ name: 'a', size: 6 })
      expect(Math.abs(written.modified.getTime() - Date.now())).toBeLessThan(60_000)
      expect((await contents(store.read('a'))).toString()).toBe('second')
      expect(await names(store)).toEqual(['a'])
    })

    it('deletes, and calls it done when it was done before', async () => {
      await put(store, 'a', 'x')
      await store.delete('a')
      await store.delete('a')
      expect(await names(store)).toEqual([])
    })

    it.each(['', '.', '..', 'a/b', '/etc/passwd', '../a', 'a\0b', 'x'.repeat(256)])(
      'refuses the name %j',
      async (name) => {
        const refused = failure('E_FORMAT')
        await expect(store.stage(name, text('x'))).rejects.toEqual(refused)
        await expect(store.reserve(name, '')).rejects.toEqual(refused)
        await expect(store.create(name, '')).rejects.toEqual(refused)
        await expect(store.write(name, '')).rejects.toEqual(refused)
        await expect(store.delete(name)).rejects.toEqual(refused)
        await expect(store.stat(name)).rejects.toEqual(refused)
        await expect(contents(store.read(name))).rejects.toEqual(refused)
      },
    )

    it('removes a place that it made and that is empty, no other', async () => {
      await store.abandon()
      await put(store, 'a', 'x')
      await store.abandon()
      expect(await names(store)).toEqual(['a'])
      await store.delete('a')
      await store.abandon()
      await put(store, 'a', 'again')
      expect(await names(store)).toEqual(['a'])
    })
  })
}
