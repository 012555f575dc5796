import { describe, expect, it } from 'vitest'
import { OpenedStore } from '../../src/operations/opened-store.ts'
import { listSets } from '../../src/portable/index.ts'
import { identityIn, recipientsIn } from '../age/files.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { actions, chain, copied, filesOf, gone, Target } from './copies.ts'
import { archives, hour, restorables, storeOf } from './prune-sets.ts'

const recipients = await recipientsIn('recipient.txt')
const others = await recipientsIn('recipients.txt')
const identities = await identityIn('key.txt')
const otherIdentities = await identityIn('other-key.txt')

/** What is in a store for who has the key. */
async function opened(store: MemoryStore, keys = identities): Promise<MemoryStore> {
  const plain = new Target()
  await copied(new OpenedStore(new MemoryStore(store.files), keys), plain)
  return plain
}

describe('copying with recipients', () => {
  it('encrypts every file but the clear catalogs, and nothing the second time', async () => {
    const source = chain()
    const target = new Target()
    const done = await copied(source, target, { recipients })
    expect(done.map(({ action, reused }) => `${action} ${reused.files}`)).toEqual([
      'copied 0',
      'copied 0',
      'copied 4',
      'copied 0',
    ])
    const clear = [...target.files.keys()].filter((name) => !name.endsWith('.age')).sort()
    expect(clear).toEqual([0, 1, 2, 3].map((at) => `${hour(at)}.snap.json`))
    expect(filesOf(await opened(target))).toEqual(filesOf(source))
    const again = await copied(source, target, { recipients })
    expect(actions(again)).toEqual([3, 2, 1, 0].map((at) => `${hour(at)} there`))
  })

  it('brings archives that a named set shares, and the rest of their set later', async () => {
    const source = chain()
    const target = new Target()
    await copied(source, target, { recipients, sets: [hour(1)] })
    const one = await restorables(await opened(target))
    expect(one).toEqual(new Map([[hour(1), (await restorables(source)).get(hour(1))]]))
    const done = await copied(source, target, { recipients })
    expect(done.at(-1)?.reused.files).toBe(4)
    expect(filesOf(await opened(target))).toEqual(filesOf(source))
  })

  it('encrypts encrypted sets for others, with a key', async () => {
    const source = chain()
    const first = new Target()
    await copied(source, first, { recipients })
    const second = new Target()
    const closed = new OpenedStore(new MemoryStore(first.files))
    await expect(copied(closed, second, { recipients: others })).rejects.toMatchObject({
      code: 'E_KEY',
    })
    expect(second.files.size).toBe(0)
    await copied(new OpenedStore(new MemoryStore(first.files), identities), second, {
      recipients: others,
    })
    expect(filesOf(await opened(second, otherIdentities))).toEqual(filesOf(source))
  })

  it('refuses targets that have the same in the clear, for others, or something else', async () => {
    const source = chain()
    const exists = { code: 'E_TARGET_EXISTS' }
    const into = (target: Target) =>
      expect(copied(source, target, { recipients, sets: [hour(1)] })).rejects
    await into(new Target(source.files)).toMatchObject(exists)
    const forOthers = new Target()
    await copied(source, forOthers, { recipients: others })
    await into(forOthers).toMatchObject(exists)
    const shared = new Target()
    await copied(source, shared, { recipients: others, sets: [hour(0)] })
    await into(shared).toMatchObject({ ...exists, message: expect.stringContaining('for others') })
    const [archive = ''] = archives(0, 1)
    await into(new Target([[archive, Buffer.from('plain')]])).toMatchObject({
      ...exists,
      message: `target: ${archive} is there in the clear`,
    })
    const twin = new Target()
    await copied(storeOf({ at: 1, own: [1] }), twin, { recipients })
    await into(twin).toMatchObject(exists)
    const stock = storeOf({ at: 0, stock: true })
    await expect(copied(stock, new Target(), { recipients })).rejects.toMatchObject({
      code: 'E_USAGE',
    })
  })

  it('takes nothing from a set that another run finished meanwhile', async () => {
    const source = chain()
    const whole = new Target()
    await copied(source, whole, { recipients, sets: [hour(0)] })
    const dead = [...whole.files].filter(([name]) => !name.includes('.manifest'))
    const reservation = gone(`${hour(0)}.pending`, Buffer.from(''))
    const late = new Target([...dead, [`${hour(0)}.pending`, reservation]])
    const stage = late.stage.bind(late)
    late.stage = async (name, body) => {
      for (const [file, bytes] of whole.files) late.files.set(file, bytes)
      return await stage(name, body)
    }
    await expect(copied(source, late, { recipients, sets: [hour(0)] })).rejects.toMatchObject({
      code: 'E_LOCKED',
    })
    expect(filesOf(late)).toEqual(filesOf(whole))
  })

  it('makes nothing of damaged sets, and copies the others', async () => {
    const source = chain()
    source.files.set(archives(0, 1)[0] ?? '', Buffer.from('damaged'))
    const target = new Target()
    const done = await copied(source, target, { recipients })
    expect(done.map(({ action }) => action)).toEqual(['copied', 'copied', 'damaged', 'damaged'])
    expect([...(await restorables(await opened(target))).keys()]).toEqual([hour(3), hour(2)])
    expect([...target.files.keys()].some((name) => name.startsWith(hour(0)))).toBe(false)
  })

  it('killed at any call leaves whole sets alone, and is finished by the next', async () => {
    const source = chain()
    const whole = await restorables(source)
    for (let calls = 0; ; calls += 3) {
      const target = new Target([], calls)
      const end = await copied(source, target, { recipients }).catch(() => 'killed')
      if (end !== 'killed') break
      const survivor = target.copy()
      if ((await listSets(survivor)).sets.length > 0) {
        const held = await restorables(await opened(survivor))
        for (const [set, points] of held) expect(points).toEqual(whole.get(set))
      }
      const files = [...survivor.files].map(([name, bytes]) => [name, gone(name, bytes)] as const)
      const next = new Target(files)
      await copied(source, next, { recipients })
      expect(filesOf(await opened(next))).toEqual(filesOf(source))
      expect([...next.files.keys()].filter((name) => name.endsWith('.pending'))).toEqual([])
    }
  })
})
