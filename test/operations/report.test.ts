import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type ReportOptions, report } from '../../src/operations/report.ts'
import type { AnomalyKind, Report } from '../../src/operations/report-data.ts'
import { encodeChecks } from '../../src/portable/checks.ts'
import { archiveName, checksName, manifestName, sidecarName } from '../../src/portable/names.ts'
import { recipientsIn } from '../age/files.ts'
import { MORNING, reportOn, variedSets } from '../cli/report/samples.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { rejected } from '../protocol/thrown.ts'
import { hour, storeOf } from './prune-sets.ts'
import { backUp } from './sets.ts'
import { DAY, points } from './shards.ts'

const DAY_MS = 86_400_000
const { dir, sets } = await variedSets()
const varied = await reportOn(dir)

async function reportOf(store: MemoryStore, options: Partial<ReportOptions> = {}): Promise<Report> {
  return await report({
    ...{ store, now: new Date(Date.UTC(2024, 0, 2)), checkedWithin: 30 * DAY_MS },
    signal: new AbortController().signal,
    ...options,
  })
}

function policyOf({ databases }: Report, database: string, name = 'autogen') {
  const found = databases.find((one) => one.name === database)
  return found?.policies.find((policy) => policy.name === name)
}

function itemsOf({ anomalies }: Report, kind: AnomalyKind) {
  return anomalies.find((anomaly) => anomaly.kind === kind)?.items
}

describe('the report of a target', () => {
  it('says how every policy is held', () => {
    expect(varied.databases.map(({ name }) => name)).toEqual(['plant', 'telegraf', 'weather'])
    expect(policyOf(varied, 'telegraf', 'raw')).toMatchObject({
      durationMs: 14 * DAY_MS,
      states: { proven: 13, held: 2, older: 59, lost: 0 },
      holeCount: 0,
      dropped: 59,
      drops: {
        at: new Date('2026-11-22T00:00:00Z'),
        start: new Date('2026-11-07T00:00:00Z'),
        end: new Date('2026-11-08T00:00:00Z'),
      },
    })
    expect(policyOf(varied, 'plant', 'yearly')).toMatchObject({ durationMs: null, dropped: 0 })
    expect(policyOf(varied, 'plant', 'yearly')?.drops).toBeUndefined()
    // The server has dropped it, and the newest metastore knows nothing of it.
    expect(policyOf(varied, 'weather')).toMatchObject({ states: { older: 5, proven: 0, held: 0 } })
    expect(policyOf(varied, 'weather')).not.toHaveProperty('durationMs')
  })

  it('says which sets hold a shard', () => {
    const spans = policyOf(varied, 'telegraf')?.spans ?? []
    expect(spans).toHaveLength(18)
    expect(spans[0]).toMatchObject({ shards: 1, state: 'proven', sets: 58, newest: sets.at(-1) })
    expect(spans.at(-1)).toMatchObject({ state: 'held', sets: 4 })
  })

  it('says how it has grown and how long that took', () => {
    const [newest] = varied.sets
    expect(newest).toMatchObject({ set: sets.at(-1), comparable: true, durationMs: 12_600 })
    expect(newest?.points).toBeGreaterThan(2e9)
    expect(newest?.series).toBe(1536)
    expect(newest?.sharesWith).toBe(3)
  })

  it('knows when the next set is due, and the last checks', () => {
    expect(varied.rhythm.usualMs).toBe(DAY_MS + 1000)
    expect(varied.rhythm.due).toEqual(new Date('2026-11-22T03:01:00Z'))
    expect(varied.checks.verified).toMatchObject({ time: new Date('2026-11-19T05:00:00Z') })
    expect(varied.checks.drilled).toMatchObject({ recoveryMs: 251_000 })
  })

  it('sees what stands out', () => {
    expect(varied.anomalies.map(({ kind, severity }) => [kind, severity])).toEqual([
      ['database-missing', 'warning'],
      ['shrunk', 'warning'],
    ])
    expect(itemsOf(varied, 'database-missing')).toEqual([{ database: 'weather', set: sets[42] }])
    expect(itemsOf(varied, 'shrunk')).toMatchObject([
      { shardId: 5n, before: { points: 88_666_667 }, after: { points: 44_333_333 } },
    ])
  })

  it('asks prune what would go, and passes on that it would refuse', async () => {
    const retention = { keep: { last: 2 }, minSets: 1 }
    const asked = await reportOn(dir, { retention })
    expect(asked.retention?.removed).toHaveLength(56)
    expect(asked.sets.filter(({ fate }) => fate === 'keep')).toHaveLength(2)
    expect(asked.sets[0]).toMatchObject({ fate: 'keep', reasons: [{ rule: 'last' }] })
    const store = storeOf({ at: 1 }, { at: 2 })
    store.files.set(`${hour(1)}.snap.json`, Buffer.from('{'))
    const refused = await reportOf(store, { retention })
    expect(refused.retention).toMatchObject({ kept: 0, refused: expect.stringContaining(hour(1)) })
    expect(refused.sets.every(({ fate }) => fate === undefined)).toBe(true)
  })

  it('sees that no set has come, and that checks are old', async () => {
    const late = await reportOn(dir, { now: new Date(MORNING.getTime() + 40 * DAY_MS) })
    const kinds = late.anomalies.map(({ kind }) => kind)
    expect(kinds).toEqual(['overdue', 'database-missing', 'shrunk', 'not-verified', 'not-drilled'])
    expect(itemsOf(late, 'overdue')).toMatchObject([{ set: sets.at(-1), usualMs: DAY_MS + 1000 }])
    expect(itemsOf(late, 'not-verified')).toMatchObject([{ set: sets.at(-3) }])
  })
})

describe('the report of what is damaged', () => {
  it('names sets, and shards that no set has whole', async () => {
    const target = await variedSets()
    const at = (night: number) => target.sets[night] ?? ''
    await rm(join(target.dir, manifestName(at(20))))
    await writeFile(join(target.dir, `${at(50)}.snap.json`), '{')
    for (const set of target.sets) {
      await rm(join(target.dir, archiveName(set, 30_037n)), { force: true })
    }
    const found = await reportOn(target.dir)
    expect(itemsOf(found, 'damaged')).toHaveLength(12)
    expect(found.anomalies[0]).toMatchObject({ kind: 'damaged', count: 57 })
    expect(itemsOf(found, 'headless')).toEqual([{ set: at(20) }])
    expect(itemsOf(found, 'lost-shards')).toEqual([
      { database: 'plant', retentionPolicy: 'yearly', count: 1 },
    ])
    const yearly = policyOf(found, 'plant', 'yearly')
    expect(yearly?.spans.filter(({ state }) => state === 'lost')).toMatchObject([{ sets: 0 }])
    expect(yearly?.points).toBeGreaterThan(0)
    expect(found.sets.find(({ set }) => set === at(50))).toMatchObject({ comparable: false })
  })

  it('names failed checks and sets that say that they lack shards', async () => {
    const skipped = [
      { shardId: 9n, database: 'db', retentionPolicy: 'autogen', reason: 'gone', lost: true },
      { shardId: 8n, database: 'db', retentionPolicy: 'autogen', reason: 'empty', lost: false },
    ]
    const store = storeOf({ at: 1 }, { at: 2, catalog: { skipped, completeness: 'unconfirmed' } })
    const time = '2024-01-01T05:00:00.000Z'
    const verified = { time, ok: false, deep: false, complete: true, problems: 4 }
    const drilled = { time, ok: false, differences: 2, recoveryMs: 5, complete: true }
    store.files.set(checksName(hour(2)), encodeChecks(hour(2), { verified, drilled }))
    store.files.set(`${hour(3)}.manifest.pending`, Buffer.from('x'))
    const found = await reportOf(store)
    expect(itemsOf(found, 'check-failed')).toMatchObject([
      { message: 'verify: 4 problems' },
      { message: 'drill: 2 differences' },
    ])
    expect(itemsOf(found, 'lost-shards')).toEqual([
      { set: hour(2), count: 1 },
      { database: 'db', retentionPolicy: 'autogen', count: 1 },
    ])
    expect(itemsOf(found, 'unconfirmed')).toEqual([{ set: hour(2) }])
    expect(itemsOf(found, 'unfinished')).toEqual([{ set: hour(3) }])
    expect(itemsOf(found, 'not-verified')).toEqual([{}])
  })

  it('ends with 10 where there is nothing, and with 13 where only a catalog is left', async () => {
    expect(await rejected(reportOf(new MemoryStore()))).toMatchObject({ code: 'E_NO_BACKUP' })
    const store = storeOf({ at: 1 })
    store.files.delete(manifestName(hour(1)))
    expect(await rejected(reportOf(store))).toMatchObject({ code: 'E_INTEGRITY' })
  })
})

describe('the report of sets of other kinds', () => {
  it('lets unchanged shards be held by a set made with --since', async () => {
    const store = storeOf(
      { at: 1 },
      { at: 5, own: [1], unchanged: { 2: 1, 3: 1 }, catalog: {} },
      { at: 9, own: [1], unchanged: { 2: 6 } },
    )
    const found = await reportOf(store)
    // Since hour 6 shard 2 had not changed, and it was last known as it was at hour 5.
    expect(policyOf(found, 'db')?.states).toEqual({ proven: 0, held: 1, older: 1, lost: 0 })
    expect(policyOf(found, 'other')?.states).toMatchObject({ older: 1 })
    expect(found.sets.map(({ comparable }) => comparable)).toEqual([false, false, true])
  })

  it('takes sets of influxd for what they hold', async () => {
    const found = await reportOf(storeOf({ at: 1, stock: true }, { at: 2, own: [1], stock: true }))
    expect(found.clusterId).toBeUndefined()
    expect(found.sets[0]).not.toHaveProperty('durationMs')
    expect(found.sets[0]).not.toHaveProperty('points')
    expect(policyOf(found, 'other')?.states).toMatchObject({ held: 1 })
  })

  it('compares only sets that were to hold the same', async () => {
    const selection = { databases: ['db'] }
    const found = await reportOf(
      storeOf(
        { at: 1 },
        { at: 2, own: [1, 2], catalog: { selection } },
        { at: 3 },
        { at: 4, own: [1, 2], catalog: { selection } },
      ),
    )
    expect(found.sets.map(({ comparable }) => comparable)).toEqual([false, true, false, true])
    expect(policyOf(found, 'other')?.states).toMatchObject({ held: 1, older: 0 })
  })

  it('does not say that points of a measurement are all of a shard', async () => {
    const selection = { measurements: ['m'] }
    const found = await reportOf(storeOf({ at: 1 }, { at: 2, own: [1], catalog: { selection } }))
    expect(policyOf(found, 'db')?.states).toMatchObject({ held: 2, older: 0 })
  })

  it('sees a database whose own sets have stopped', async () => {
    const all = [1, 2, 3, 4, 5, 6].map((at) => ({
      at,
      own: [3],
      catalog: { selection: { databases: ['other'] } },
    }))
    const own = [20, 21, 22, 23].map((at) => ({
      at,
      own: [1, 2],
      catalog: { selection: { databases: ['db'] } },
    }))
    const found = await reportOf(storeOf(...all, ...own))
    expect(itemsOf(found, 'database-overdue')).toMatchObject([
      { database: 'other', set: hour(6), usualMs: 3_600_000 },
    ])
  })

  it('names a set that shares archives with very many', async () => {
    const shares = Array.from({ length: 40 }, (_, at) => ({ at, own: [1] }))
    const store = storeOf(...shares)
    const files = shares.map(({ at }) => ({
      ...{ name: sidecarName(hour(at), 1n), size: 1, sha256: '0'.repeat(64) },
    }))
    const { files: more } = storeOf({ at: 60, own: [1], catalog: { files, shards: [] } })
    for (const [name, bytes] of more) store.files.set(name, bytes)
    expect(itemsOf(await reportOf(store), 'long-chain')).toEqual([{ set: hour(60), count: 40 }])
  })

  it('says that sets of influxd may be a chain', async () => {
    const stock = true
    const store = storeOf({ at: 1, stock }, { at: 2, own: [1], stock }, { at: 3, own: [], stock })
    const found = await reportOf(store)
    expect(itemsOf(found, 'stock-chain')).toEqual([{ set: hour(3), count: 2 }])
    expect(found.sets.map(({ chain }) => chain)).toEqual([
      { sets: 2, oldest: hour(1) },
      { sets: 2, oldest: hour(1) },
      undefined,
    ])
    expect(itemsOf(await reportOf(storeOf({ at: 1, stock })), 'stock-chain')).toBeUndefined()
  })

  it('puts the shards of a long policy together, and counts the holes between them', async () => {
    const times = (at: number) => BigInt(at) * DAY
    const shards = Array.from({ length: 900 }, (_, at) => at)
      .filter((at) => at % 50 !== 7)
      .map((at) => ({
        ...{ shardId: BigInt(at + 1), database: 'db', retentionPolicy: 'autogen' },
        ...{ start: times(at), end: times(at + 1), archive: archiveName(hour(1), 1n) },
        ...{ tarSize: 5, complete: true },
      }))
    const found = await reportOf(storeOf({ at: 1, own: [1], catalog: { shards } }))
    const policy = policyOf(found, 'db')
    expect(policy).toMatchObject({ shards: 882, holeCount: 18 })
    expect(policy?.holes).toHaveLength(10)
    expect(policy?.spans.length).toBeLessThanOrEqual(241)
    expect(policy?.spans.reduce((sum, span) => sum + span.shards, 0)).toBe(882)
  })
})

describe('the report of a real backup', () => {
  const shard = (id: bigint, value: number) => ({
    ...{ id, database: 'd', retentionPolicy: 'r', day: id },
    files: [{ points: { 'm,h=a#!~#v': points('float', [[id * DAY, value]]) } }],
  })

  it('has its points, series and duration, also of shards that a later set shares', async () => {
    const { store } = await backUp([shard(1n, 1), shard(2n, 1)])
    const { result } = await backUp([shard(1n, 1), shard(2n, 7), shard(3n, 1)], {
      store,
      incremental: { fullEvery: 30 * DAY_MS, trustProbe: false },
    })
    expect(result.shards.filter(({ reused }) => reused)).toHaveLength(1)
    const found = await reportOf(store, { now: new Date() })
    expect(found.sets).toMatchObject([
      { points: 3, series: 1, durationMs: expect.any(Number), sharesWith: 1 },
      { points: 2, series: 1, durationMs: expect.any(Number), sharesWith: 0 },
    ])
  })

  it('names databases of the server that no set holds', async () => {
    const other = { ...shard(2n, 1), database: 'other' }
    const selection = { databases: ['d'] }
    const { store } = await backUp([shard(1n, 1), other], { selection })
    expect(itemsOf(await reportOf(store), 'never-held')).toEqual([{ database: 'other' }])
  })

  it('tells nothing of the points of an encrypted one, and no duration of its policies', async () => {
    const { store } = await backUp([shard(1n, 1)], {
      recipients: await recipientsIn('recipient.txt'),
    })
    const found = await reportOf(store)
    expect(found.sets).toMatchObject([{ encrypted: true, durationMs: expect.any(Number) }])
    expect(found.sets[0]).not.toHaveProperty('points')
    expect(policyOf(found, 'd', 'r')).not.toHaveProperty('durationMs')
    expect(policyOf(found, 'd', 'r')).not.toHaveProperty('points')
    expect(policyOf(found, 'd', 'r')?.states).toMatchObject({ held: 1 })
  })
})
