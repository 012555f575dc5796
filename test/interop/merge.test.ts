import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { snap, snapJson, startSnap } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'

const SECOND = 1_000_000_000n
const DAY = 24n * 3600n * SECOND
const WEEK = 7n * DAY
/** The first nanosecond of a day in the midst of a week of shards, long gone. */
const OLD = 1_700_092_800n * SECOND
const NOW = BigInt(Date.now()) * 1_000_000n
/** The first nanosecond of the shard of today: weeks begin on Mondays, and time on a Thursday. */
const THIS_WEEK = NOW - ((NOW - 4n * DAY) % WEEK)

const INDEXES = ['inmem', 'tsi1'] as const

function cpu(host: string, time: bigint, value: number | string): string {
  return `cpu,host=${host} value=${value} ${time}`
}

/** Points of a host every ten seconds. */
function series(host: string, from: bigint, count: number, value: (i: number) => number): string[] {
  return Array.from({ length: count }, (_, i) =>
    cpu(host, from + BigInt(i) * 10n * SECOND, value(i)),
  )
}

for (const index of INDEXES) {
  describeWithInfluxd(`snap restore --merge with ${index}`, () => {
    let server: Influxd
    let http: string[]

    beforeAll(async () => {
      server = await startInfluxd({ config: { data: { 'index-version': index } } })
      http = ['--host', server.host, '--http', server.httpUrl]
    })

    afterAll(async () => {
      await server.stop()
    })

    /** Writes lines into a new database, and backs it up. */
    async function backedUp(db: string, lines: readonly string[]): Promise<string> {
      await server.query(`CREATE DATABASE ${db}`)
      await server.write(lines, { db })
      const target = await tempDir('target')
      await snapJson(['backup', '--host', server.host, '--db', db, target])
      return target
    }

    const merge = (source: string, ...words: string[]) =>
      snapJson(['restore', '--merge', ...http, ...words, source])

    it('brings back what was deleted, in old shards and new ones', async () => {
      const lines = [
        ...series('a', OLD, 3000, (i) => i),
        ...series('b', OLD + WEEK, 100, (i) => i / 4),
        ...series('a', NOW - 100n * 10n * SECOND, 100, (i) => -i),
        `mem,host=a free=1i,text="a \\"b\\"" ${OLD}`,
      ]
      const target = await backedUp('gone', lines)
      const before = await dumpAll(server, { db: 'gone' })
      await server.query('DELETE FROM cpu', { db: 'gone' })
      await server.query('DROP MEASUREMENT mem', { db: 'gone' })
      const merged = await merge(target)
      expect(merged).toMatchObject({ added: 3202, equal: 0, conflicting: 0 })
      expect(await dumpAll(server, { db: 'gone' })).toEqual(before)
      expect(await merge(target)).toMatchObject({ added: 0, equal: 3202, conflicting: 0 })
    })

    it('uploads files where there is much, and everything is seen by queries', async () => {
      const lines = ['a', 'b', 'c'].flatMap((host) => series(host, OLD, 9000, (i) => i * 3))
      const target = await backedUp('much', [...lines, `disk,path=/ used=5i,free=6i ${OLD}`])
      const before = await dumpAll(server, { db: 'much' })
      await server.query(`DROP SHARD ${await shardOf('much')}`)
      await server.write([cpu('a', OLD, 77), cpu('z', OLD, 1)], { db: 'much' })
      await server.flush()
      const merged = await merge(target)
      expect(merged).toMatchObject({ added: 27001, equal: 0, conflicting: 1 })
      const after = await dumpAll(server, { db: 'much', series: false })
      const all = new Set(after)
      const same = before.filter((line) => all.has(line))
      expect([before.length - same.length, after.length - same.length]).toEqual([5, 2])
      const [counted] = await server.query('SELECT count(value) FROM cpu', { db: 'much' })
      expect(counted?.values?.[0]?.[1]).toBe(27001)
      const [first] = await server.query(`SELECT value FROM cpu WHERE host = 'a' LIMIT 1`, {
        db: 'much',
      })
      expect(first?.values?.[0]?.[1]).toBe(77)
      await server.stop()
      await server.start()
      const [again] = await server.query('SELECT count(value) FROM cpu', { db: 'much' })
      expect(again?.values?.[0]?.[1]).toBe(27001)
      const [disk] = await server.query('SELECT used, free FROM disk', { db: 'much' })
      expect(disk?.values?.[0]?.slice(1)).toEqual([5, 6])
    })

    it('uploads into a shard that still takes writes if it may, and no acknowledged write is lost', async () => {
      const lines = Array.from({ length: 20_000 }, (_, i) =>
        cpu('a', THIS_WEEK + BigInt(i) * 1_000_000n, i),
      )
      const target = await backedUp('hot', lines)
      await server.query(`DELETE FROM cpu WHERE host = 'a'`, { db: 'hot' })
      await server.write(cpu('live', NOW, 0), { db: 'hot' })
      const stop = new AbortController()
      const acknowledged = writeUntil(stop.signal)
      const merged = await merge(target, '--db', 'hot', '--allow-write-pause')
      stop.abort()
      expect(merged).toMatchObject({ added: 20_000, conflicting: 0 })
      const files = await readdir(join(server.dirs.data, 'hot', 'autogen', await shardOf('hot')))
      // What was uploaded, compacted or not, is a thousand generations after what the server wrote itself.
      expect(files.some((name) => /^00000[1-9]/.test(name))).toBe(true)
      const written = await acknowledged
      expect(written).toBeGreaterThan(0)
      const counts = await server.query('SELECT count(value) FROM cpu GROUP BY host', { db: 'hot' })
      const count = (host: string) =>
        counts.find(({ tags }) => tags?.host === host)?.values?.[0]?.[1]
      expect([count('a'), count('live')]).toEqual([20_000, 1])
      expect(count('writer')).toBeGreaterThanOrEqual(written)
    })

    /** Writes one point after the other and returns how many were acknowledged: the server refuses some while a file arrives. */
    async function writeUntil(signal: AbortSignal): Promise<number> {
      let acknowledged = 0
      for (let i = 0; !signal.aborted; i++) {
        const line = cpu('writer', NOW + BigInt(i), i)
        const done = server.write(line, { db: 'hot' }).then(
          () => 1,
          () => 0,
        )
        acknowledged += await done
        await sleep(5)
      }
      return acknowledged
    }

    async function shardOf(db: string): Promise<string> {
      const all = await server.query('SHOW SHARDS')
      const found = all.find(({ name }) => name === db)
      return String(found?.values?.[0]?.[0])
    }

    describe('where both have a point', () => {
      let target: string
      beforeAll(async () => {
        const rows = series('a', OLD, 50, (i) => i)
        target = await backedUp('both', [...rows, `cpu,host=a other=1 ${OLD}`])
      })

      /** Live: half of the values changed, the other half gone, the second field gone, a point of its own. */
      async function reset(db: string): Promise<void> {
        await server.query(`DROP DATABASE ${db}`)
        await server.query(`CREATE DATABASE ${db}`)
        const live = [...series('a', OLD, 25, (i) => i + 1000), cpu('own', OLD, 5)]
        await server.write(live, { db })
        await server.flush()
      }

      const sumOf = async () => {
        const [row] = await server.query('SELECT sum(value), count(other) FROM cpu', { db: 'both' })
        return row?.values?.[0]?.slice(1)
      }
      const CHANGED = 25 * 1000 + 300
      const MISSING = (25 + 49) * 12.5

      it('keeps what is live unless told otherwise', async () => {
        await reset('both')
        expect(await merge(target)).toMatchObject({ added: 26, conflicting: 25, equal: 0 })
        expect(await sumOf()).toEqual([CHANGED + MISSING + 5, 1])
      })

      it('adds no field to a row that is there with fill-gaps', async () => {
        await reset('both')
        const merged = await merge(target, '--on-conflict', 'fill-gaps')
        expect(merged).toMatchObject({ added: 25, conflicting: 26, equal: 0 })
        const [row] = await server.query('SELECT sum(value) FROM cpu', { db: 'both' })
        expect(row?.values?.[0]?.[1]).toBe(CHANGED + MISSING + 5)
        expect(await server.query('SELECT count(other) FROM cpu', { db: 'both' })).toEqual([])
      })

      it('lets the backup win if told so', async () => {
        await reset('both')
        const merged = await merge(target, '--on-conflict', 'backup')
        expect(merged).toMatchObject({ added: 26, conflicting: 25 })
        expect(await sumOf()).toEqual([300 + MISSING + 5, 1])
        expect(await merge(target)).toMatchObject({ added: 0, equal: 51, conflicting: 0 })
      })

      it('counts and writes nothing in a dry run', async () => {
        await reset('both')
        const before = await dumpAll(server, { db: 'both' })
        expect(await merge(target, '--dry-run')).toMatchObject({
          added: 26,
          conflicting: 25,
          dryRun: true,
        })
        expect(await dumpAll(server, { db: 'both' })).toEqual(before)
      })

      it('takes a selection', async () => {
        await reset('both')
        const end = new Date(Number((OLD + 300n * SECOND) / 1_000_000n)).toISOString()
        const merged = await merge(target, '--measurement', 'cpu', '--tag', 'host=a', '--end', end)
        expect(merged).toMatchObject({ added: 7, conflicting: 25 })
      })

      it('refuses a field that has another type in the server', async () => {
        await server.query('DROP DATABASE both')
        await server.query('CREATE DATABASE both')
        await server.write([`cpu,host=q value="text" ${OLD}`], { db: 'both' })
        const before = await dumpAll(server, { db: 'both' })
        const { code, stderr } = await snap(['restore', '--merge', ...http, target])
        expect([code, stderr]).toEqual([15, expect.stringContaining('field type conflict')])
        expect(await dumpAll(server, { db: 'both' })).toEqual(before)
      })
    })

    it('cuts at the shards of a database whose shards are shorter', async () => {
      const target = await backedUp(
        'week',
        series('a', OLD, 4000, (i) => i),
      )
      await server.query('CREATE DATABASE day WITH SHARD DURATION 1d')
      const merged = await merge(target, '--newdb', 'day')
      expect(merged).toMatchObject({ added: 4000 })
      const of = { series: false, dbAs: 'week' }
      expect(await dumpAll(server, { db: 'day', ...of })).toEqual(
        await dumpAll(server, { db: 'week', series: false }),
      )
    })

    describe('that does not go through', () => {
      const UPLOAD = 7
      const live = [cpu('a', OLD, 77), cpu('z', OLD, 1)]
      let target: string

      beforeAll(async () => {
        const hosts = ['a', 'b', 'c', 'd']
        target = await backedUp(
          'cut',
          hosts.flatMap((host) => series(host, OLD, 8000, Math.sin)),
        )
      })

      async function reset(): Promise<void> {
        await server.query('DROP DATABASE cut')
        await server.query('CREATE DATABASE cut')
        await server.write(live, { db: 'cut' })
      }

      async function expectAll(): Promise<void> {
        const [count] = await server.query('SELECT count(value) FROM cpu', { db: 'cut' })
        expect(count?.values?.[0]?.[1]).toBe(32_001)
        await expectLive()
      }

      async function expectLive(): Promise<void> {
        const query = `SELECT value FROM cpu WHERE time = ${OLD} AND (host = 'a' OR host = 'z') GROUP BY host`
        const found = await server.query(query, { db: 'cut' })
        expect(found.map(({ values }) => values?.[0]?.[1])).toEqual([77, 1])
      }

      it.each(['rst', 'fin'] as const)(
        'sends a file again whose upload was cut (%s)',
        async (how) => {
          await reset()
          let uploads = 0
          const proxy = await startFaultProxy(server.host, (type, before) => {
            if (type !== UPLOAD) return {}
            uploads += 1
            return before === 0 ? { toServer: { cut: { after: 100_000, how } } } : {}
          })
          try {
            const words = ['--host', proxy.host, '--http', server.httpUrl, target]
            const merged = await snapJson(['restore', '--merge', ...words])
            expect(merged).toMatchObject({ added: 31_999, conflicting: 1 })
            expect(uploads).toBeGreaterThan(1)
          } finally {
            await proxy.close()
          }
          await expectAll()
        },
      )

      it('loses nothing when it is killed, and can be run again', async () => {
        for (const wait of [600, 900, 1200]) {
          await reset()
          const words = ['restore', '--merge', ...http, '--limit-rate', '300k', target]
          const running = startSnap(words)
          await sleep(wait)
          running.kill('SIGKILL')
          await running.finished
          // A shard answers nothing while the server ends the upload that was cut.
          await vi.waitFor(expectLive, { timeout: 10_000 })
          await merge(target)
          await expectAll()
        }
      })

      it('goes on while others write to the same shard', async () => {
        await server.query('DROP DATABASE cut')
        await server.query('CREATE DATABASE cut')
        const stop = new AbortController()
        const acknowledged: bigint[] = []
        const writing = (async () => {
          for (let i = 0n; !stop.signal.aborted; i++) {
            const time = OLD + i * 7n + 1n
            await server.write([cpu('writer', time, 1)], { db: 'cut' }).then(
              () => acknowledged.push(time),
              () => {},
            )
          }
        })()
        await merge(target)
        stop.abort()
        await writing
        const query = `SELECT count(value) FROM cpu WHERE host = 'writer'`
        const [count] = await server.query(query, { db: 'cut' })
        expect(count?.values?.[0]?.[1]).toBeGreaterThanOrEqual(acknowledged.length)
        const [all] = await server.query(`SELECT count(value) FROM cpu WHERE host != 'writer'`, {
          db: 'cut',
        })
        expect(all?.values?.[0]?.[1]).toBe(32_000)
      })
    })

    it('lets a policy keep points longer if told so, and says how it is set back', async () => {
      const target = await backedUp('kept', [cpu('a', OLD, 1), cpu('a', OLD + SECOND, 2)])
      await server.query('CREATE DATABASE short WITH DURATION 2d')
      const durationOf = async () => {
        const [shown] = await server.query('SHOW RETENTION POLICIES ON short')
        return shown?.values?.[0]?.[1]
      }
      const words = ['--newdb', 'short', '--rp-duration']
      const { code } = await snap(['restore', '--merge', ...http, ...words, '30d', target])
      expect([code, await durationOf()]).toEqual([15, '48h0m0s'])
      const nothing = [...words, 'inf', '--measurement', 'none']
      expect((await snap(['restore', '--merge', ...http, ...nothing, target])).code).toBe(16)
      expect(await durationOf()).toBe('48h0m0s')
      const durations = [{ database: 'short', was: '2d', is: 'INF' }]
      const dry = await merge(target, ...words, 'inf', '--dry-run')
      expect(dry).toMatchObject({ added: 2, durations })
      expect(await durationOf()).toBe('48h0m0s')
      const { stdout, stderr } = await snap([
        'restore',
        '--merge',
        ...http,
        ...words,
        'inf',
        target,
      ])
      const back = 'ALTER RETENTION POLICY "autogen" ON "short" DURATION 2d'
      expect([stdout, stderr]).toEqual([
        expect.stringContaining(back),
        expect.stringContaining(back),
      ])
      expect(await durationOf()).toBe('0s')
      const [count] = await server.query('SELECT count(value) FROM cpu', { db: 'short' })
      expect(count?.values?.[0]?.[1]).toBe(2)
      await server.query(back)
      // A policy that keeps them anyway is not touched.
      expect(await merge(target, '--newdb', 'kept', '--rp-duration', '3650d')).toMatchObject({
        durations: [],
      })
    })

    it('says which reason it is, before anything is changed', async () => {
      const target = await backedUp('reason', [cpu('a', OLD, 1)])
      const refused = async (...words: string[]) => {
        const { code, stderr } = await snap(['restore', '--merge', ...http, ...words, target])
        return [code, stderr]
      }
      expect(await refused('--newdb', 'nowhere')).toEqual([
        15,
        expect.stringContaining('no database'),
      ])
      expect(await refused('--db', 'other')).toEqual([16, expect.stringContaining('other')])
      await server.query('CREATE DATABASE brief WITH DURATION 1d')
      expect(await refused('--newdb', 'brief')).toEqual([
        15,
        expect.stringContaining('older than policy'),
      ])
      await server.query('CREATE DATABASE named WITH NAME other')
      expect(await refused('--newdb', 'named')).toEqual([
        15,
        expect.stringContaining('no retention policy'),
      ])
      expect(await refused('--rp', 'autogen', '--newdb', 'named', '--newrp', 'other')).toEqual([
        0,
        expect.anything(),
      ])
      const { code } = await snap(['restore', '--merge', '--host', server.host, target])
      expect(code).toBe(15)
    })
  })
}
