import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LOCK_TIMES } from '../../src/operations/lock-rules.ts'
import { type LockedPlace, type LockedRun, withLock } from '../../src/operations/locked-store.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { LocalStore, type Staged, type Store } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'

async function* once(text: string) {
  yield Buffer.from(text)
}

const notes: ProgressEvent[] = []
const RUN: LockedRun = {
  ...{ mode: 'shared', reads: false, command: 'backup', wait: 0 },
  signal: new AbortController().signal,
  progress: (event) => void notes.push(event),
  times: {
    ...LOCK_TIMES,
    beat: 10,
    beatLimit: 500,
    fresh: 5,
    settle: { shared: 50, exclusive: 50 },
  },
}

/** Files of which something may be left under their unfinished names. */
class LeavingStore extends LocalStore {
  override async stage(name: string, body: AsyncIterable<Uint8Array>): Promise<Staged> {
    const staged = await super.stage(name, body)
    const publish = () => staged.publish()
    return { name, size: staged.size, publish, takeName: publish, discard: () => staged.discard() }
  }
}

async function locked<T>(path: string, work: (place: LockedPlace) => Promise<T>): Promise<T> {
  return await withLock(new LocalStore(path), RUN, work)
}

/** Takes the lock of a run away until it has seen that: a renewal under way makes it again. */
async function takeAway(path: string, { signal }: LockedPlace): Promise<void> {
  while (!signal.aborted) {
    const names = (await readdir(path)).filter((name) => name.endsWith('.lock'))
    for (const name of names) await rm(join(path, name), { force: true })
    await sleep(5)
  }
}

const isLost = expect.objectContaining({
  code: 'E_LOCKED',
  message: expect.stringContaining('lock'),
})

describe('a store that is locked', () => {
  it('does all that a store does, and is left without the lock', async () => {
    const path = join(await tempDir('locked'), 'new')
    await locked(path, async ({ store }) => {
      expect(store.url).toBe(path)
      expect(await store.reserve('a', 'me')).toBe(true)
      const staged = await store.stage('a', once('hello'))
      const read = staged.read?.({ start: 1, end: 4 })
      const chunks: Uint8Array[] = []
      for await (const chunk of read ?? []) chunks.push(chunk)
      expect(Buffer.concat(chunks).toString()).toBe('ell')
      await staged.publish()
      await (await store.stage('b', once('x'))).discard()
      expect(await store.create('c', 'x')).toBe(true)
      expect(await store.write('d', 'xy')).toMatchObject({ size: 2 })
      expect(await store.stat('d')).toMatchObject({ size: 2 })
      await store.delete('c')
      const names: string[] = []
      for await (const { name } of store.list(undefined, 'a')) names.push(name)
      expect(names).toEqual(['a'])
    })
    expect((await readdir(path)).sort()).toEqual(['a', 'd'])
  })

  it('publishes, replaces and deletes nothing once the lock is lost; what is unfinished goes', async () => {
    const path = await tempDir('locked')
    const run = locked(path, async (place) => {
      const { store } = place
      const first = await store.stage('first', once('x'))
      await first.publish()
      const second = await store.stage('second', once('x'))
      await store.create('theirs', 'x')
      await store.reserve('set', 'x')
      await takeAway(path, place)
      await expect(second.publish()).rejects.toEqual(isLost)
      await expect(store.delete('theirs')).rejects.toEqual(isLost)
      await expect(store.write('theirs', 'y')).rejects.toEqual(isLost)
      await expect(store.create('more', 'y')).rejects.toEqual(isLost)
      await second.discard()
      await store.delete('first')
      await store.delete('set.pending')
      expect(await readdir(path)).toEqual(['theirs'])
      throw new Error('whatever')
    })
    await expect(run).rejects.toEqual(isLost)
    expect(await readdir(path)).toEqual(['theirs'])
  })

  it('takes names only while the lock is held, where what is unfinished goes later', async () => {
    const path = await tempDir('locked')
    const run = withLock(new LeavingStore(path), RUN, async (place) => {
      const first = await place.store.stage('first', once('x'))
      const second = await place.store.stage('second', once('x'))
      await first.takeName?.()
      await takeAway(path, place)
      await expect(second.takeName?.()).rejects.toEqual(isLost)
      await place.store.delete('first')
      await second.discard()
      expect(await readdir(path)).toEqual([])
      throw new Error('whatever')
    })
    await expect(run).rejects.toEqual(isLost)
  })

  it('leaves no place behind that a failed run has made, locked out or not', async () => {
    const path = join(await tempDir('locked'), 'new')
    const failed = new Error('failed')
    await expect(locked(path, () => Promise.reject(failed))).rejects.toBe(failed)
    expect(await readdir(join(path, '..'))).toEqual([])
    const unwritable = join(path, 'x'.repeat(300))
    await expect(locked(unwritable, async () => {})).rejects.toMatchObject({
      code: 'E_DESTINATION',
    })
    expect(await readdir(join(path, '..'))).toEqual([])
  })

  it('is the store itself for what only reads, where nothing is or nothing can be written', async () => {
    const path = await tempDir('locked')
    const store = new LocalStore(path)
    const reading = { ...RUN, reads: true }
    const same = async (place: LockedPlace) => {
      expect(place).toEqual({ store, signal: RUN.signal })
      expect(await readdir(path)).not.toContainEqual(expect.stringMatching(/lock/))
    }
    await withLock(store, reading, same)
    await store.create('a', 'x')
    const write = store.write
    store.write = () => new LocalStore('/dev/null/x').write('a', '')
    notes.length = 0
    await withLock(store, reading, same)
    const message = expect.stringMatching(/^no lock was taken: \/dev\/null\/x/)
    expect(notes).toEqual([{ type: 'note', level: 'info', message }])
    await expect(withLock(store, RUN, same)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    const stopped = { ...reading, signal: AbortSignal.abort(new Error('stop')) }
    await expect(withLock(store, stopped, same)).rejects.toThrow('stop')
    store.write = write
    const alone = (place: { readonly store: Store }) =>
      withLock(place.store, { ...reading, mode: 'exclusive' }, async () => {})
    await expect(withLock(store, reading, alone)).rejects.toMatchObject({ code: 'E_LOCKED' })
  })

  it('says that a lock could not be removed', async () => {
    const path = await tempDir('locked')
    const store = new LocalStore(path)
    notes.length = 0
    store.delete = () => new LocalStore('/dev/null/x').write('a', '').then(() => {})
    await withLock(store, RUN, async () => {})
    const message = expect.stringMatching(/^the lock of this run could not be removed: /)
    expect(notes).toEqual([{ type: 'note', level: 'info', message }])
  })
})
