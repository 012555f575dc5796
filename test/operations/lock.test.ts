import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { temporaryName, thisProcess } from '../../src/io/process-owner.ts'
import { HeldLock } from '../../src/operations/lock.ts'
import { encodeLock, LOCK_TIMES, type LockTimes } from '../../src/operations/lock-rules.ts'
import type { LockWish } from '../../src/operations/lock-wait.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { type LockMode, lockName } from '../../src/portable/names.ts'
import { LocalStore, type Store, type StoredObject } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const SLOW = process.env['SLOW'] === '1'
const MINUTE = 60_000
const ELSEWHERE = { ...thisProcess(), host: 'elsewhere', boot: 'another' }

/** As in life, but for those who wait in a test. */
const QUICK: LockTimes = {
  ...LOCK_TIMES,
  settle: { shared: 300, exclusive: 100 },
  poll: [2, 30],
}

interface Taking extends Partial<LockWish> {
  readonly notes?: ProgressEvent[]
}

async function take(store: Store, mode: LockMode, options: Taking = {}): Promise<HeldLock> {
  return await HeldLock.take(store, {
    ...{ mode, command: 'backup', wait: 0, times: QUICK, signal: new AbortController().signal },
    progress: (event) => void options.notes?.push(event),
    ...options,
  })
}

async function place(): Promise<{ readonly path: string; readonly store: Store }> {
  const path = await tempDir('lock')
  return { path, store: new LocalStore(path) }
}

/** Leaves a lock as a run does that is killed, and returns its name. */
async function leave(
  path: string,
  mode: LockMode,
  { minutesAgo = 0, owner = ELSEWHERE, text = undefined as string | undefined } = {},
): Promise<string> {
  const name = lockName(mode, randomBytes(16).toString('hex'))
  const started = '2026-01-02T03:04:05.000Z'
  await writeFile(join(path, name), text ?? encodeLock({ mode, command: 'prune', started, owner }))
  const time = new Date(Date.now() - minutesAgo * MINUTE)
  await utimes(join(path, name), time, time)
  return name
}

const isLocked = (message = '') =>
  expect.objectContaining({ code: 'E_LOCKED', message: expect.stringContaining(message) })

describe('a lock', () => {
  it('is shared with others that share, and leaves nothing', async () => {
    const { path, store } = await place()
    const locks = await Promise.all([1, 2, 3].map(() => take(store, 'shared')))
    expect(await readdir(path)).toHaveLength(3)
    for (const lock of locks) await lock.release()
    expect(await readdir(path)).toEqual([])
  })

  it.each([
    ['exclusive', 'shared'],
    ['shared', 'exclusive'],
    ['exclusive', 'exclusive'],
  ] as const)('that is %s keeps off one that is %s, which names it', async (first, second) => {
    const { path, store } = await place()
    const held = await take(store, first, { command: 'verify' })
    const { pid, host } = thisProcess()
    const holder = `locked by snap verify (process ${pid} on ${host}) since 20`
    await expect(take(new LocalStore(path), second)).rejects.toEqual(isLocked(holder))
    expect(await readdir(path)).toHaveLength(1)
    await held.release()
    await (await take(store, second)).release()
  })

  it('that is exclusive waits for those that share, and keeps newcomers off meanwhile', async () => {
    const { store } = await place()
    const early = await take(store, 'shared')
    const notes: ProgressEvent[] = []
    const alone = take(store, 'exclusive', { wait: 20_000, notes })
    await until(() => notes.length > 0)
    expect(notes).toMatchObject([{ message: expect.stringMatching(/^waiting for snap backup \(/) }])
    await expect(take(store, 'shared')).rejects.toEqual(isLocked())
    await early.release()
    const held = await alone
    const late = take(store, 'shared', { wait: 20_000 })
    await sleep(20)
    await held.release()
    await (await late).release()
  })

  it('is waited for no longer than the run itself', async () => {
    const { path, store } = await place()
    await leave(path, 'exclusive')
    const reason = new Error('interrupted')
    const abort = new AbortController()
    const waiting = take(store, 'shared', { wait: 20_000, signal: abort.signal })
    await sleep(20)
    abort.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(await readdir(path)).toHaveLength(1)
  })

  it('is a short text for people and programs', async () => {
    const { path, store } = await place()
    const lock = await take(store, 'exclusive', { command: 'prune' })
    const [name = ''] = await readdir(path)
    expect(name).toMatch(/^snap-exclusive-[0-9a-f]{32}\.lock$/)
    expect(JSON.parse(await readFile(join(path, name), 'utf8'))).toMatchObject({
      ...{ schema: 'snap/lock/1', mode: 'exclusive', command: 'prune', owner: thisProcess() },
    })
    await lock.release()
  })
})

describe('a lock that was left', () => {
  const run = 'removed the lock of snap prune (process'

  it('by a process that is gone is taken over at once, and that is said', async () => {
    const { path, store } = await place()
    const owner = { ...thisProcess(), startTime: '1' }
    await leave(path, 'exclusive', { owner })
    await leave(path, 'shared', { owner })
    const notes: ProgressEvent[] = []
    await (await take(store, 'shared', { notes })).release()
    const message = expect.stringMatching(
      /^removed the lock of snap prune .*: its process is gone$/,
    )
    const note = { type: 'note', level: 'warning', message }
    expect(notes).toEqual([note, note])
    expect(await readdir(path)).toEqual([])
  })

  it('elsewhere counts until it was not renewed for five minutes', async () => {
    const { path, store } = await place()
    const name = await leave(path, 'exclusive', { minutesAgo: 4.9 })
    await expect(take(store, 'shared')).rejects.toEqual(isLocked('on elsewhere)'))
    const time = new Date(Date.now() - 5 * MINUTE)
    await utimes(join(path, name), time, time)
    const notes: ProgressEvent[] = []
    await (await take(store, 'shared', { notes })).release()
    expect(notes).toMatchObject([{ message: expect.stringContaining(run) }])
    expect(notes).toMatchObject([{ message: expect.stringContaining('for 5 minutes') }])
  })

  it('before this machine was started counts as elsewhere: other machines may have its name', async () => {
    const { path, store } = await place()
    await leave(path, 'exclusive', { owner: { ...thisProcess(), boot: 'another' } })
    await expect(take(store, 'shared')).rejects.toEqual(isLocked())
  })

  it.each(['', '{"schema":"snap/lock/2"}', 'x'.repeat(9000)])(
    'and cannot be read (%#) counts by its name and age',
    async (text) => {
      const { path, store } = await place()
      await leave(path, 'exclusive', { text })
      await expect(take(store, 'shared')).rejects.toEqual(isLocked('another run, since 20'))
      await leave(path, 'shared', { text, minutesAgo: 6 })
      await rm(join(path, (await readdir(path)).find((name) => /exclusive/.test(name)) ?? ''))
      await (await take(store, 'exclusive')).release()
      expect(await readdir(path)).toEqual([])
    },
  )

  it('is judged by the clock of the store alone', async () => {
    for (const skew of [-30 * 24 * 60 * MINUTE, 30 * 24 * 60 * MINUTE]) {
      const { path, store } = await place()
      const skewed = skewedStore(store, skew)
      const held = await take(skewed, 'shared')
      await leave(path, 'shared', { minutesAgo: 4 })
      await expect(take(skewed, 'exclusive')).rejects.toEqual(isLocked())
      await held.release()
      await leave(path, 'exclusive', { minutesAgo: 6 })
      await (await take(skewed, 'shared')).release()
      expect(await readdir(path)).toHaveLength(1)
    }
  })

  it('holds nobody up where nothing can be deleted', async () => {
    const { path, store } = await place()
    await leave(path, 'exclusive', { minutesAgo: 6 })
    const refused = () => new LocalStore(join(path, 'no-such')).write('x'.repeat(999), '')
    const keeping: Store = { ...bound(store), delete: async () => void (await refused()) }
    const lock = await take(keeping, 'shared').catch((error) => error)
    expect(lock).toBeInstanceOf(HeldLock)
    await expect(lock.release()).rejects.toBeDefined()
  })

  it('half written is removed once its process is gone', async () => {
    const { path, store } = await place()
    const mine = temporaryName()
    const gone = mine.replace(/^snap-\d+-\d+/, `snap-${process.pid}-1`)
    for (const name of [mine, gone]) await writeFile(join(path, name), '')
    await (await take(store, 'exclusive')).release()
    expect(await readdir(path)).toEqual([mine])
  })
})

describe('a lock that is held', () => {
  const OFTEN = { ...QUICK, beat: 10, beatLimit: 500, fresh: 5 }

  it('is renewed, so that it does not grow old', async () => {
    const { path, store } = await place()
    const lock = await take(store, 'exclusive', { times: OFTEN })
    const [name = ''] = await readdir(path)
    const time = new Date(Date.now() - 4 * MINUTE)
    await utimes(join(path, name), time, time)
    await until(
      async () => Date.now() - ((await store.stat(name))?.modified.getTime() ?? 0) < MINUTE,
    )
    const text = JSON.parse(await readFile(join(path, name), 'utf8'))
    expect(Math.abs(Date.parse(text.since) - Date.now())).toBeLessThan(MINUTE)
    await lock.confirm()
    await lock.release()
    expect(await readdir(path)).toEqual([])
  })

  it('is lost when it is taken away, and ends the run', async () => {
    const { path, store } = await place()
    const lock = await take(store, 'shared', { times: OFTEN })
    // Again and again: a renewal under way makes it anew.
    while (!lock.signal.aborted) {
      for (const name of await readdir(path)) await rm(join(path, name), { force: true })
      await sleep(5)
    }
    expect(lock.lost).toEqual(isLocked('the lock of this run was removed'))
    await expect(lock.confirm()).rejects.toEqual(isLocked())
    await lock.release()
    expect(await readdir(path)).toEqual([])
  })

  it('is lost when it was stale at its renewal: another may have taken it over', async () => {
    const { store } = await place()
    let skew = 0
    const moving = skewedStore(store, () => skew)
    const lock = await take(moving, 'shared', { times: OFTEN })
    skew = 5 * MINUTE + 1000
    await aborted(lock.signal)
    expect(lock.lost).toEqual(isLocked('was not renewed in time'))
    await lock.release()
  })

  it('outlasts a store that fails for a while, and no longer', async () => {
    const { store } = await place()
    let isBroken = false
    const failing: Store = {
      ...bound(store),
      write: async (...args) => {
        if (isBroken) return await new LocalStore('/dev/null/no').write('a', '')
        return await store.write(...args)
      },
    }
    const lock = await take(failing, 'shared', { times: { ...OFTEN, lost: 2_000 } })
    isBroken = true
    await sleep(100)
    await lock.confirm()
    isBroken = false
    await sleep(2_100)
    await lock.confirm()
    isBroken = true
    await aborted(lock.signal)
    expect(lock.lost).toEqual(isLocked('could not be renewed: /dev/null/no'))
    await lock.release()
  })

  it('is lost when the store does not answer', async () => {
    const { store } = await place()
    let hangs = false
    const hanging: Store = {
      ...bound(store),
      stat: async (...args) => (hangs ? await new Promise(() => {}) : await store.stat(...args)),
    }
    const times = { ...OFTEN, beatLimit: 50, lost: 100 }
    const lock = await take(hanging, 'shared', { times })
    hangs = true
    await aborted(lock.signal)
    expect(lock.lost).toEqual(isLocked('no answer within 0.05 s'))
    await lock.release()
  })

  it('ends with the run that it is of', async () => {
    const { store } = await place()
    const abort = new AbortController()
    const lock = await take(store, 'shared', { signal: abort.signal })
    const reason = new Error('interrupted')
    abort.abort(reason)
    expect(lock.signal.reason).toBe(reason)
    expect(lock.lost).toBeUndefined()
    await lock.release()
  })
})

describe('many runs at once', () => {
  it('never hold locks that exclude each other, and all get theirs', async () => {
    const contender = fc.record({
      mode: fc.constantFrom<LockMode>('shared', 'shared', 'exclusive'),
      begin: fc.nat({ max: 20 }),
      work: fc.nat({ max: 8 }),
    })
    const contenders = fc.array(contender, { minLength: 2, maxLength: 7 })
    const property = fc.asyncProperty(contenders, fc.infiniteStream(fc.nat({ max: 4 })), contend)
    await fc.assert(property, { numRuns: SLOW ? 200 : 5 })
  }, 600_000)

  it('that all want to be alone and do not wait: one at least gets through', async () => {
    for (let round = 0; round < (SLOW ? 50 : 2); round++) {
      const { path } = await place()
      const times = { ...QUICK, settle: { shared: 2_000, exclusive: 1_000 } }
      const tries = await Promise.allSettled(
        Array.from({ length: 6 }, () => take(new LocalStore(path), 'exclusive', { times })),
      )
      const held = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      expect(held).toHaveLength(1)
      for (const lock of held) await lock.release()
      expect(await readdir(path)).toEqual([])
    }
  })
})

interface Contender {
  readonly mode: LockMode
  readonly begin: number
  readonly work: number
}

/** Lets contenders loose on one directory, each step of each delayed by chance, and watches who holds a lock. */
async function contend(contenders: readonly Contender[], delays: Iterator<number>): Promise<void> {
  const { path } = await place()
  const holding: Record<LockMode, number> = { shared: 0, exclusive: 0 }
  const times = { ...QUICK, beat: 15 }
  await Promise.all(
    contenders.map(async ({ mode, begin, work }) => {
      await sleep(begin)
      const store = delayedStore(new LocalStore(path), delays)
      const lock = await take(store, mode, { wait: 60_000, times })
      holding[mode]++
      const { shared, exclusive } = holding
      expect(exclusive === 0 || (exclusive === 1 && shared === 0)).toBe(true)
      await sleep(work)
      await lock.confirm()
      holding[mode]--
      await lock.release()
    }),
  )
  expect(await readdir(path)).toEqual([])
}

/** The methods of a store as an object that can be spread. */
function bound(store: Store): Store {
  return {
    url: store.url,
    undeleted: 0,
    list: (...args) => store.list(...args),
    stat: (...args) => store.stat(...args),
    read: (...args) => store.read(...args),
    stage: (...args) => store.stage(...args),
    reserve: (...args) => store.reserve(...args),
    createsOnce: (...args) => store.createsOnce(...args),
    create: (...args) => store.create(...args),
    write: (...args) => store.write(...args),
    delete: (...args) => store.delete(...args),
    abandon: () => store.abandon(),
  }
}

/** A store whose answers take their time. */
function delayedStore(store: Store, delays: Iterator<number>): Store {
  const delay = () => sleep(delays.next().value ?? 0)
  return {
    ...bound(store),
    async *list(...args) {
      await delay()
      const found: StoredObject[] = []
      for await (const object of store.list(...args)) found.push(object)
      await delay()
      yield* found
    },
    async write(...args) {
      await delay()
      const written = await store.write(...args)
      await delay()
      return written
    },
    async delete(...args) {
      await delay()
      await store.delete(...args)
    },
  }
}

/** A store whose clock is another than that of this machine. */
function skewedStore(store: Store, by: number | (() => number)): Store {
  const skew = typeof by === 'number' ? () => by : by
  const move = <T extends { readonly modified: Date }>(object: T) => ({
    ...object,
    modified: new Date(object.modified.getTime() + skew()),
  })
  return {
    ...bound(store),
    async *list(...args) {
      for await (const object of store.list(...args)) yield move(object)
    },
    stat: async (...args) => {
      const found = await store.stat(...args)
      return found && move(found)
    },
    write: async (...args) => move(await store.write(...args)),
  }
}

function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', resolve, { once: true })
  })
}
