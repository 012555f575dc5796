import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snap, snapExpecting, snapJson } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { queryJson, writeLines } from '../helpers/influxd-http.ts'
import { tempDir } from '../helpers/temp.ts'

const SECOND = 1_000_000_000n
/** The first nanosecond of a week of shards, long gone. */
const OLD = 1_700_092_800n * SECOND
const POINTS = Array.from(
  { length: 100 },
  (_, i) => `cpu,host=a value=${i} ${OLD + BigInt(i) * SECOND}`,
)
const SECRET = 'root-secret'

for (const index of ['inmem', 'tsi1'] as const) {
  describeWithInfluxd(`a server that asks for passwords, with ${index}`, () => {
    let source: Influxd
    let target: Influxd
    let backup: string
    let http: readonly string[]
    const env = { INFLUX_SNAP_HTTP_PASSWORD: SECRET }

    beforeAll(async () => {
      source = await startInfluxd({ indexVersion: index })
      target = await startInfluxd({
        indexVersion: index,
        config: { http: { 'auth-enabled': true } },
      })
      http = ['--host', target.host, '--http', target.httpUrl, '--http-user', 'root']
      await source.query('CREATE DATABASE telegraf; CREATE DATABASE other')
      for (const db of ['telegraf', 'other']) await source.write(POINTS, { db })
      await source.query(
        `CREATE USER grafana WITH PASSWORD 'old'; CREATE USER writer WITH PASSWORD 'old'`,
      )
      await source.query('GRANT READ ON telegraf TO grafana; GRANT ALL ON telegraf TO writer')
      await source.query(
        'CREATE CONTINUOUS QUERY mean ON telegraf BEGIN SELECT mean(value) INTO means FROM cpu GROUP BY time(1h) END',
      )
      backup = await tempDir('backup')
      await snapJson(['backup', '--host', source.host, backup])
      await target.query(`CREATE USER root WITH PASSWORD '${SECRET}' WITH ALL PRIVILEGES`)
      await as('root', SECRET, 'CREATE DATABASE own')
    })

    afterAll(async () => {
      await source.dispose()
      await target.dispose()
    })

    function urlOf(user: string, password: string): string {
      const url = new URL(target.httpUrl)
      url.username = user
      url.password = password
      return url.href.replace(/\/$/, '')
    }

    const as = (user: string, password: string, q: string) => queryJson(urlOf(user, password), q)

    async function count(user: string, password: string, db = 'telegraf'): Promise<unknown> {
      const [row] = await as(user, password, `SELECT count(value) FROM ${db}.autogen.cpu`)
      return row?.values?.[0]?.[1]
    }

    it.each([
      ['no password', [], {}],
      ['a wrong one', ['--http-user', 'root'], { INFLUX_SNAP_HTTP_PASSWORD: 'wrong' }],
    ])('is left as it is with %s', async (_, words, given) => {
      const to = ['--host', target.host, '--http', target.httpUrl, ...words]
      const users = ['--users', '--users-file', join(await tempDir('users'), 'new')]
      for (const how of [users, ['--merge']]) {
        const { code, stderr } = await snap(['restore', ...how, ...to, backup], { env: given })
        expect([code, stderr]).toEqual([15, expect.stringMatching(/HTTP 401/)])
        expect(stderr).toContain('--http-user')
      }
      const shown = await as('root', SECRET, 'SHOW DATABASES')
      expect(shown[0]?.values).toEqual([['own']])
      expect((await as('root', SECRET, 'SHOW USERS'))[0]?.values).toEqual([['root', true]])
    })

    it('gets databases, queries, and users who can log in', async () => {
      const file = join(await tempDir('users'), 'new')
      const words = ['restore', ...http, '--users', '--users-file', file, backup]
      const { stdout, stderr } = await snapExpecting(0, words, { env })
      const lines = (await readFile(file, 'utf8')).trim().split('\n')
      const made = new Map(
        lines.map((line): [string, string] => {
          const { user, password } = JSON.parse(line)
          return [user, password]
        }),
      )
      expect([...made.keys()].sort()).toEqual(['grafana', 'writer'])
      for (const password of [...made.values(), SECRET])
        expect(stdout + stderr).not.toContain(password)
      const grafana = made.get('grafana') ?? ''
      expect(await count('grafana', grafana)).toBe(100)
      await expect(count('grafana', grafana, 'other')).rejects.toThrow(/not authorized/)
      await expect(count('grafana', 'old')).rejects.toThrow(/401/)
      const line = `cpu,host=b value=1 ${OLD}`
      await writeLines(urlOf('writer', made.get('writer') ?? ''), line, { db: 'telegraf' })
      await expect(writeLines(urlOf('grafana', grafana), line, { db: 'telegraf' })).rejects.toThrow(
        /403/,
      )
      const queries = await as('root', SECRET, 'SHOW CONTINUOUS QUERIES')
      expect(queries.find(({ name }) => name === 'telegraf')?.values).toHaveLength(1)
    })

    it('is merged into, and a shard of it replaced', async () => {
      await queryJson(urlOf('root', SECRET), 'DELETE FROM cpu', { db: 'telegraf' })
      const merged = await snapExpecting(
        0,
        ['restore', '--merge', '--db', 'telegraf', ...http, '--json', backup],
        { env },
      )
      expect(JSON.parse(merged.stdout)).toMatchObject({ added: 100, equal: 0, conflicting: 0 })
      expect(await count('root', SECRET)).toBe(100)
      const shards = await as('root', SECRET, 'SHOW SHARDS')
      const id = shards.find(({ name }) => name === 'telegraf')?.values?.[0]?.[0]
      await writeLines(urlOf('root', SECRET), `cpu,host=a value=-1 ${OLD}`, { db: 'telegraf' })
      const words = ['--on-conflict', 'backup', '--replace-shard', `${id}`]
      const kept = ['--replaced-dir', await tempDir('kept')]
      await snapExpecting(
        0,
        ['restore', '--merge', ...words, ...kept, '--db', 'telegraf', ...http, backup],
        { env },
      )
      const [sum] = await as('root', SECRET, 'SELECT sum(value) FROM telegraf.autogen.cpu')
      expect(sum?.values?.[0]?.[1]).toBe((99 * 100) / 2)
    })
  })
}
