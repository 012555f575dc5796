import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PruneOptions } from '../../src/operations/prune.ts'
import { parseFileName } from '../../src/portable/index.ts'
import type { MemoryStore } from '../helpers/memory-store.ts'
import {
  DyingStore,
  hour,
  pruned,
  putSet,
  restorables,
  type SampleSet,
  storeOf,
} from './prune-sets.ts'

const SHARDS = [1, 2, 3]

/** How a set comes by a shard: an archive of its own, that of an older set, word that nothing changed, or not at all. */
const source = fc.constantFrom('own', 'own', 'shared', 'unchanged', 'none')
const setSpec = fc.record({
  sources: fc.tuple(source, source, source),
  hoursLater: fc.integer({ min: 1, max: 40 }),
  kind: fc.constantFrom('snap', 'snap', 'snap', 'stock'),
  limit: fc.constantFrom({}, {}, { databases: ['db'] }, { retentionPolicy: 'autogen' }),
  completeness: fc.constantFrom('confirmed' as const, 'unconfirmed' as const),
  pinned: fc.integer({ min: 0, max: 5 }),
})

type SetSpec = typeof setSpec extends fc.Arbitrary<infer T> ? T : never

/** Makes a target in which sets share archives and go by older ones, as those do that are made by runs. */
function targetOf(specs: readonly SetSpec[]): MemoryStore {
  const store = storeOf()
  const ownedAt = new Map<number, number>()
  const saidAt = new Map<number, number>()
  let at = 0
  for (const { sources, hoursLater, kind, limit, completeness, pinned } of specs) {
    at += hoursLater
    const shared: Record<number, number> = {}
    const unchanged: Record<number, number> = {}
    const own: number[] = []
    for (const [index, from] of sources.entries()) {
      const id = SHARDS[index] ?? 0
      const [owned, said] = [ownedAt.get(id), saidAt.get(id)]
      if (from === 'none') continue
      if (kind === 'snap' && from === 'shared' && owned !== undefined) shared[id] = owned
      else if (kind === 'snap' && from === 'unchanged' && said !== undefined) unchanged[id] = said
      else own.push(id)
    }
    for (const id of own) ownedAt.set(id, at)
    for (const id of SHARDS.filter((_, index) => sources[index] !== 'none')) saidAt.set(id, at)
    const sample: SampleSet = {
      ...{ at, own, shared, unchanged, stock: kind === 'stock' },
      catalog: { selection: limit, completeness },
    }
    putSet(store, sample)
    if (pinned === 0) store.files.set(`${hour(at)}.pin`, Buffer.from(''))
  }
  return store
}

const count = fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined })
const options: fc.Arbitrary<Partial<PruneOptions>> = fc.record({
  keep: fc.record({ last: fc.integer({ min: 1, max: 4 }), daily: count, weekly: count }),
  minSets: fc.integer({ min: 1, max: 2 }),
  includeStock: fc.boolean(),
  databases: fc.constantFrom([], [], ['db']),
})
const specs = fc.array(setSpec, { minLength: 1, maxLength: 9 })

/** The sets that a prune keeps, and what restoring from them would take. */
async function keptBy(store: MemoryStore, wish: Partial<PruneOptions>) {
  const { sets } = await pruned(store, { ...wish, confirm: false })
  const kept = sets.filter(({ action }) => action === 'keep').map(({ set }) => set)
  const whole = await restorables(store)
  return new Map(kept.map((set) => [set, whole.get(set)]))
}

/** A wish of which the target holds the databases. */
async function isUsable(store: MemoryStore, wish: Partial<PruneOptions>): Promise<boolean> {
  const { sets } = await pruned(store, { ...wish, databases: [], confirm: false })
  const held = new Set(sets.flatMap(({ databases }) => databases))
  return (wish.databases ?? []).every((name) => held.has(name))
}

describe('prune of any target by any rules', () => {
  it('leaves what it keeps as it was, and nothing that nobody needs', async () => {
    await fc.assert(
      fc.asyncProperty(specs, options, async (sets, wish) => {
        const original = targetOf(sets)
        if (!(await isUsable(original, wish))) return
        const store = original.copy()
        const kept = await keptBy(store, wish)
        const { freed } = await pruned(store, wish)
        expect(await restorables(store)).toEqual(kept)
        expect(original.files.size - store.files.size).toBe(freed.files)
        const { strays } = await pruned(store, wish)
        expect(strays.files).toBe(0)
        for (const [set] of [...original.files].filter(([name]) => name.endsWith('.pin'))) {
          expect(kept.has(set.slice(0, 16))).toBe(true)
        }
        // The same again has nothing to do.
        expect((await pruned(store, wish)).freed.files).toBe(0)
      }),
      { numRuns: process.env['SLOW'] === '1' ? 2000 : 120 },
    )
  })

  it('can be cut short at any file, and be finished by the next', async () => {
    await fc.assert(
      fc.asyncProperty(specs, options, async (sets, wish) => {
        const original = targetOf(sets)
        if (!(await isUsable(original, wish))) return
        const whole = await restorables(original)
        const kept = await keptBy(original, wish)
        const finished = original.copy()
        const { freed } = await pruned(finished, wish)
        for (let deletes = 0; deletes < freed.files; deletes++) {
          const dying = new DyingStore(original.copy().files, deletes)
          await expect(pruned(dying, wish)).rejects.toThrow('killed')
          const survivor = dying.copy()
          // What still looks like a set is one, those included that were to go.
          for (const [set, held] of await restorables(survivor))
            expect(held).toEqual(whole.get(set))
          for (const set of kept.keys()) expect((await restorables(survivor)).has(set)).toBe(true)
          await pruned(survivor, wish)
          expect(survivor.files).toEqual(finished.files)
          expect([...survivor.files.keys()].filter(isPending)).toEqual([])
        }
      }),
      { numRuns: process.env['SLOW'] === '1' ? 300 : 15 },
    )
  })
})

function isPending(name: string): boolean {
  return parseFileName(name) === undefined && name.endsWith('.pending')
}
