import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { thisProcess } from '../../src/io/process-owner.ts'
import { removeLeftovers } from '../../src/operations/leftovers.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { listSets } from '../../src/portable/index.ts'
import type { Staged } from '../../src/storage/index.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { smallStore } from '../portable/samples.ts'
import { actions, chain, copied, filesOf, gone, Target } from './copies.ts'
import { archives, hour, pruned, restorables, storeOf } from './prune-sets.ts'

describe('copy', () => {
  it('makes the target what the source is, and does nothing the second time', async () => {
    const source = chain()
    const target = new Target()
    const planned = await copied(source, target, { dryRun: true })
    expect(target.files.size).toBe(0)
    const events: ProgressEvent[] = []
    const done = await copied(source, target, { progress: (event) => events.push(event) })
    expect(filesOf(target)).toEqual(filesOf(source))
    expect(actions(done)).toEqual([3, 2, 1, 0].map((at) => `${hour(at)} copied`))
    expect(done).toEqual(planned.map((set) => ({ ...set, action: 'copied' })))
    expect(done.map(({ reused }) => reused.files)).toEqual([0, 0, 4, 0])
    expect(done.reduce((sum, { files }) => sum + files, 0)).toBe(source.files.size)
    const ended = events.filter(({ type }) => type === 'shardDone')
    expect(events[0]).toMatchObject({ type: 'plan', task: 'copy', shards: 7 })
    expect(ended).toHaveLength(7)
    const again = await copied(source, target)
    expect(actions(again)).toEqual([3, 2, 1, 0].map((at) => `${hour(at)} there`))
  })

  it('brings shared archives, and the sets that a named one goes by', async () => {
    const source = chain()
    const whole = await restorables(source)
    const one = new Target()
    await copied(source, one, { sets: [hour(1)] })
    expect(await restorables(one)).toEqual(new Map([[hour(1), whole.get(hour(1))]]))
    expect([...one.files.keys()].filter((name) => name.startsWith(hour(0)))).toHaveLength(4)
    const since = new Target()
    expect(actions(await copied(source, since, { sets: [hour(2)] }))).toEqual([
      `${hour(2)} copied`,
      `${hour(1)} copied`,
    ])
    expect((await restorables(since)).get(hour(2))).toEqual(whole.get(hour(2)))
    const newest = new Target()
    const sets = ['latest', new Date(Date.UTC(2024, 0, 1, 0, 30))]
    expect(actions(await copied(source, newest, { sets }))).toEqual([
      `${hour(3)} copied`,
      `${hour(0)} copied`,
    ])
  })

  it('copies sets of influxd with the older ones they need', async () => {
    const stock = { stock: true } as const
    const source = storeOf(
      { at: 0, ...stock },
      { at: 1, ...stock, own: [1] },
      { at: 2, ...stock, own: [2] },
    )
    const target = new Target()
    await copied(source, target, { sets: ['latest'] })
    expect(filesOf(target)).toEqual(filesOf(source))
    const [archive = ''] = archives(2, 2)
    const half = new Target([[archive, source.files.get(archive) ?? Buffer.from('')]])
    const [first] = await copied(source, half)
    expect(first?.reused.files).toBe(1)
    expect(filesOf(half)).toEqual(filesOf(source))
  })

  it('copies only what the target does not have', async () => {
    const source = chain()
    const target = new Target()
    await copied(source, target, { sets: [hour(0)] })
    source.bytesRead = 0
    const [set] = await copied(source, target, { sets: [hour(1)] })
    expect(set).toMatchObject({ files: 5, reused: { files: 4 } })
    expect(target.files.get(archives(0, 1)[0] ?? '')).toBeDefined()
  })

  it('refuses what may not stand beside each other', async () => {
    const source = chain()
    const foreign = { server: { clusterId: 5n } }
    const other = new Target(storeOf({ at: 9, catalog: foreign }).files)
    await expect(copied(source, other)).rejects.toMatchObject({ code: 'E_TARGET_FOREIGN' })
    const mixed = storeOf({ at: 0 }, { at: 1, catalog: foreign })
    await expect(copied(mixed, new Target())).rejects.toMatchObject({ code: 'E_TARGET_FOREIGN' })
    expect(actions(await copied(mixed, new Target(), { sets: [hour(1)] }))).toHaveLength(1)
    const twin = new Target(storeOf({ at: 3, own: [1] }).files)
    await expect(copied(source, twin)).rejects.toMatchObject({
      code: 'E_TARGET_EXISTS',
      message: `target: has another set ${hour(3)}: ${hour(3)}.manifest differs`,
    })
    const [archive = ''] = archives(0, 1)
    const squatter = new Target([[archive, Buffer.from('something else')]])
    await expect(copied(source, squatter)).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
    expect(squatter.files.size).toBe(1)
    await expect(copied(source, source)).rejects.toMatchObject({ code: 'E_USAGE' })
    await expect(copied(new MemoryStore(), new Target())).rejects.toMatchObject({
      code: 'E_NO_BACKUP',
    })
    await expect(copied(source, new Target(), { sets: [hour(8)] })).rejects.toMatchObject({
      code: 'E_NOTHING_MATCHED',
    })
    expect(smallStore().clusterId).not.toBe(5n)
  })

  it('never makes a set of damaged files, and copies the others', async () => {
    const whole = await restorables(chain())
    for (const change of [Buffer.from('short'), undefined]) {
      const source = chain()
      const [archive = ''] = archives(0, 1)
      const bytes = Buffer.from(source.files.get(archive) ?? [])
      bytes[3] = 0
      source.files.set(archive, change ?? bytes)
      const target = new Target()
      const done = await copied(source, target)
      expect(actions(done)).toEqual([
        `${hour(3)} copied`,
        `${hour(2)} copied`,
        `${hour(1)} damaged`,
        `${hour(0)} damaged`,
      ])
      expect(done.at(-1)?.problem).toContain(`memory: ${archive}: `)
      expect([...(await restorables(target)).keys()]).toEqual([hour(3), hour(2)])
      expect((await restorables(target)).get(hour(3))).toEqual(whole.get(hour(3)))
      await expect(copied(source, new Target(), { sets: [hour(0)] })).rejects.toMatchObject({
        code: 'E_INTEGRITY',
      })
    }
  })

  it('passes over sets that cannot be read, unless they are named', async () => {
    const source = chain()
    source.files.set(`${hour(1)}.snap.json`, Buffer.from('?'))
    const done = await copied(source, new Target())
    expect(done.map(({ action }) => action)).toEqual(['copied', 'copied', 'damaged', 'copied'])
    await expect(copied(source, new Target(), { sets: [hour(1)] })).rejects.toMatchObject({
      code: 'E_INTEGRITY',
    })
    const target = new Target(source.files)
    expect(actions(await copied(chain(), target, { sets: [hour(3)] }))).toEqual([
      `${hour(3)} there`,
    ])
  })

  it('tells a target that cannot be read from one that has another set', async () => {
    class Failing extends Target {
      failing = ''
      override async *read(...args: Parameters<Target['read']>): AsyncGenerator<Uint8Array> {
        if (args[0] === this.failing) throw new SnapError('E_SOURCE', 'gone')
        yield* super.read(...args)
      }
    }
    const source = chain()
    for (const failing of [`${hour(0)}.manifest`, archives(0, 1)[0] ?? '']) {
      const target = new Failing(failing.endsWith('.manifest') ? source.files : [])
      target.files.set(failing, source.files.get(failing) ?? Buffer.from(''))
      target.failing = failing
      await expect(copied(source, target)).rejects.toMatchObject({ code: 'E_SOURCE' })
    }
    const half = new Target(source.files)
    half.files.delete(`${hour(3)}.snap.json`)
    await expect(copied(source, half)).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
  })

  it('leaves a set to the run that makes it', async () => {
    const owner = JSON.stringify(thisProcess())
    const target = new Target([[`${hour(0)}.pending`, Buffer.from(owner)]])
    await expect(copied(chain(), target)).rejects.toMatchObject({ code: 'E_LOCKED' })
    expect(target.files.size).toBe(1)
  })

  it('goes on where it failed, and leaves nothing where nothing was finished', async () => {
    class Full extends Target {
      isFull = true
      override async stage(name: string, body: AsyncIterable<Uint8Array>): Promise<Staged> {
        const isRefused = this.isFull && (name.endsWith('.meta') || this.files.size === 1)
        if (isRefused) throw new SnapError('E_DESTINATION', 'full')
        return await super.stage(name, body)
      }
    }
    const full = new Full()
    await expect(copied(chain(), full)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    expect(full.files.size).toBe(0)
    const source = chain()
    const target = new Full([['notes', Buffer.from('')]])
    await expect(copied(source, target)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    expect((await listSets(target)).sets).toEqual([])
    target.isFull = false
    const done = await copied(source, target)
    expect(done.at(-1)?.reused.files).toBeGreaterThan(0)
    target.files.delete('notes')
    expect(filesOf(target)).toEqual(filesOf(source))
  })
})

describe('a copy that is killed', () => {
  it('at any call leaves whole sets alone, and is finished by the next', async () => {
    const source = chain()
    const whole = await restorables(source)
    for (let calls = 0; ; calls++) {
      const target = new Target([], calls)
      const end = await copied(source, target).catch((error: Error) => error.message)
      if (typeof end !== 'string') break
      const survivor = target.copy()
      for (const [set, held] of await restorables(survivor)) expect(held).toEqual(whole.get(set))
      const files = [...survivor.files].map(([name, bytes]) => [name, gone(name, bytes)] as const)
      const next = new Target(files)
      await copied(source, next)
      expect(filesOf(next)).toEqual(filesOf(source))
    }
  })

  it('takes nothing from other sets when what it left is removed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 60 }), async (calls) => {
        const source = chain()
        const target = new Target(source.files)
        // The target has archives of a set that was removed there.
        await pruned(target, { keep: { last: 3 } })
        const whole = await restorables(target)
        target.left = calls
        await copied(source, target).catch(() => {})
        const files = [...target.files].map(([name, bytes]) => [name, gone(name, bytes)] as const)
        const next = new MemoryStore(files)
        await removeLeftovers(next, await listSets(next))
        const left = await restorables(next)
        for (const [set, held] of whole) expect(left.get(set)).toEqual(held)
      }),
    )
  })
})
