import { describe, expect, it } from 'vitest'
import { list } from '../../src/operations/list.ts'
import { prune } from '../../src/operations/prune.ts'
import { report } from '../../src/operations/report.ts'
import { checkTarget, listSets } from '../../src/portable/index.ts'
import { findReusable } from '../../src/portable/reusable.ts'
import { SyntheticTarget, shardsOf, type TargetSize } from '../helpers/synthetic-target.ts'

const isSlow = process.env['SLOW'] === '1'
/** 10,000 shards and 100,000 objects of 50 TB, or a small one with as many sets. */
const SIZE: TargetSize = isSlow
  ? { shards: 10_000, sets: 31, changed: 1_332, archiveSize: 5e9 }
  : { shards: 150, sets: 31, changed: 20, archiveSize: 5e9 }
const TIMEOUT = 600_000
const signal = new AbortController().signal

/** Runs some work on a target and says what it cost. */
async function measured<T>(what: string, target: SyntheticTarget, work: () => Promise<T>) {
  const before = { ...target.requests, metadata: target.metadata }
  const started = performance.now()
  target.peakMemory = 0
  const result = await work()
  const requests = Object.fromEntries(
    Object.entries(target.requests).map(([kind, count]) => [
      kind,
      count - before[kind as keyof typeof target.requests],
    ]),
  )
  if (isSlow) {
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
    const read = megabytes(target.metadata - before.metadata)
    const peak = megabytes(target.peakMemory)
    console.info(what, JSON.stringify(requests), `${read} read, ${seconds} s, heap at most ${peak}`)
  }
  return { result, requests }
}

describe('a large target', () => {
  it(
    'is listed, planned for and pruned with requests for sets and for what changes, not for objects',
    async () => {
      const target = new SyntheticTarget(SIZE)
      const { sets } = SIZE
      const objects = target.objects.size
      const pages = Math.ceil(objects / 1000)
      expect(objects).toBeGreaterThan(SIZE.shards * 9.5)
      const none = { stats: 0, writes: 0, deletes: 0 }

      const listed = await measured('list', target, () => list(target, signal))
      expect(listed.result.sets).toHaveLength(sets)
      expect(listed.requests).toEqual({ lists: pages, reads: sets, ...none })

      const planned = await measured('incremental', target, async () => {
        const listing = await listSets(target, signal)
        const known = await checkTarget(listing, { clusterId: 7n, kind: 'full' }, signal)
        return findReusable(listing, shardsOf(SIZE, sets - 1), { clusterId: 7n, known }, signal)
      })
      expect(planned.result.size).toBe(SIZE.shards)
      // Manifest, metastore and catalog of the newest set, each once.
      expect(planned.requests).toEqual({ lists: pages, reads: 3, ...none })

      const options = {
        ...{ store: target, keep: { daily: 14 }, minSets: 1, databases: [], includeStock: false },
        ...{ now: new Date(), signal },
      }
      // Two more for the newest metastore.
      const reported = await measured('report', target, () =>
        report({ store: target, now: options.now, checkedWithin: 1, signal }),
      )
      expect(reported.result.databases).toHaveLength(Math.min(100, SIZE.shards))
      expect(reported.requests).toEqual({ lists: pages, reads: sets + 3, ...none })

      const shown = await measured('prune, dry run', target, () =>
        prune({ ...options, confirm: false }),
      )
      const gone = sets - 14
      expect(shown.requests).toEqual({
        lists: pages,
        reads: 2 * sets,
        stats: gone,
        writes: 0,
        deletes: 0,
      })

      const done = await measured('prune', target, () => prune({ ...options, confirm: true }))
      expect(done.result.freed).toEqual(shown.result.freed)
      // The journal is written once and deleted once.
      const deletes = done.result.freed.files + 1
      expect(done.requests).toEqual({
        lists: pages,
        reads: 2 * sets,
        stats: gone,
        writes: 1,
        deletes,
      })
      expect(target.objects.size).toBe(objects - done.result.freed.files)
    },
    TIMEOUT,
  )
})
