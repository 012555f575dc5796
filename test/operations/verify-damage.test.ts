import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import type { VerifyOptions } from '../../src/operations/verify.ts'
import type { MemoryStore } from '../helpers/memory-store.ts'
import { backUp, namesOf, verified } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const SLOW = process.env['SLOW'] === '1'

const shard: ShardFixture = {
  ...{ id: 1n, database: 'd', retentionPolicy: 'r', day: 1n },
  files: [
    {
      points: {
        'm#!~#v': points('float', [
          [DAY, 1.5],
          [DAY + 10n, 2.5],
        ]),
      },
      deleted: [{ key: 'm#!~#v', time: DAY }],
    },
  ],
}
const { store } = await backUp([shard])
const names = [...store.files.keys()]
/** Each with what it is, for the titles. */
const named = names.map((name) => [name.slice(name.indexOf('.') + 1), name] as const)
const archives = new Set(namesOf(store, '.tar.gz'))

/** Small files are under hashes that are checked before any archive is read. */
const SMALL_ONLY = { maxDuration: 1e-9 }

/** Says whether the damage is seen: as a problem, or as an error that ends the command with 13. */
async function isSeen(damaged: MemoryStore, options: Partial<VerifyOptions>): Promise<boolean> {
  try {
    const { problems } = await verified(damaged, options)
    return problems.length > 0
  } catch (error) {
    if (error instanceof SnapError && error.exitCode === 13) return true
    throw error
  }
}

function optionsFor(name: string): Partial<VerifyOptions> {
  return archives.has(name) ? {} : SMALL_ONLY
}

describe('in a set of snap', () => {
  it('nothing is wrong at first', async () => {
    expect(names.length).toBe(5)
    expect(await verified(store, { deep: true })).toMatchObject({ problems: [], complete: true })
  })

  it.each(named)('every flipped bit of %s is seen', { timeout: 120_000 }, async (_, name) => {
    const damaged = store.copy()
    const bytes = damaged.files.get(name) ?? new Uint8Array()
    const isArchive = archives.has(name)
    const unseen: string[] = []
    let flips = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      for (let bit = 0; bit < 8; bit++) {
        // an archive is read to its end each time: one bit of every byte will do
        if (isArchive && !SLOW && bit !== at % 8) continue
        bytes[at] = byte ^ (1 << bit)
        flips++
        if (!(await isSeen(damaged, optionsFor(name)))) unseen.push(`bit ${bit} of byte ${at}`)
      }
      bytes[at] = byte
    }
    expect(unseen).toEqual([])
    expect(flips).toBe(isArchive && !SLOW ? bytes.length : bytes.length * 8)
  })

  it.each(named)('%s cut at any length is seen', async (_, name) => {
    const whole = store.files.get(name) ?? new Uint8Array()
    const damaged = store.copy()
    const unseen: number[] = []
    for (let length = 0; length < whole.length; length++) {
      damaged.files.set(name, whole.subarray(0, length))
      if (!(await isSeen(damaged, optionsFor(name)))) unseen.push(length)
    }
    expect(unseen).toEqual([])
  })

  it.each(named)('%s with something after it is seen', async (_, name) => {
    const damaged = store.copy()
    const more = Buffer.concat([store.files.get(name) ?? Buffer.alloc(0), Buffer.alloc(1)])
    damaged.files.set(name, more)
    expect(await isSeen(damaged, {})).toBe(true)
  })

  it.each(named)('%s missing is seen', async (_, name) => {
    const damaged = store.copy()
    damaged.files.delete(name)
    expect(await isSeen(damaged, {})).toBe(true)
    const others = names.filter((other) => other !== name)
    expect([...damaged.files.keys()]).toEqual(others)
  })

  it('two files in each other’s place are seen', async () => {
    const more = await backUp([shard, { ...shard, id: 2n, day: 2n }])
    const [one = '', two = ''] = namesOf(more.store, '.tar.gz')
    const [first, second] = [more.store.files.get(one), more.store.files.get(two)]
    more.store.files.set(one, second ?? new Uint8Array())
    more.store.files.set(two, first ?? new Uint8Array())
    const { problems } = await verified(more.store)
    expect(problems.map(({ file }) => file).sort()).toEqual([one, two])
  })
})
