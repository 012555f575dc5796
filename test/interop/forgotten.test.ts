import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snap, snapJson } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'

const CQ = `CREATE CONTINUOUS QUERY hourly ON telegraf BEGIN SELECT mean(value) INTO telegraf.autogen.cpu_1h FROM telegraf.autogen.cpu GROUP BY time(1h), * END`
const TO_OTHER = `CREATE CONTINUOUS QUERY total ON telegraf BEGIN SELECT count(value) INTO "agg"."autogen".:MEASUREMENT FROM telegraf.autogen./.*/ GROUP BY time(1d) END`

describeWithInfluxd('what stock restores forget', () => {
  let source: Influxd
  let target: Influxd
  let backup: string
  let http: readonly string[]

  beforeAll(async () => {
    source = await startInfluxd({ config: { data: { 'index-version': 'tsi1' } } })
    target = await startInfluxd({ config: { data: { 'index-version': 'tsi1' } } })
    http = ['--host', target.host, '--http', target.httpUrl]
    for (const db of ['telegraf', 'agg']) {
      await source.query(`CREATE DATABASE ${db}`)
      await source.write([`cpu,host=a value=1 1`, `cpu,host=b value=2 2`, 'mem free=1 3'], { db })
    }
    await source.query(CQ)
    await source.query(TO_OTHER)
    await source.query(
      `CREATE USER root WITH PASSWORD 'root''s' WITH ALL PRIVILEGES`.replace("''", ''),
    )
    await source.query(`CREATE USER "gra ""fana" WITH PASSWORD 'old'`.replace('""', '\\"'))
    await source.query(`GRANT READ ON telegraf TO "gra \\"fana"`)
    await source.query(`CREATE USER nobody WITH PASSWORD 'x'`)
    backup = await tempDir('backup')
    await snapJson(['backup', '--host', source.host, backup])
  })

  afterAll(async () => {
    await source.dispose()
    await target.dispose()
  })

  async function queriesOf(server: Influxd): Promise<unknown[]> {
    const shown = await server.query('SHOW CONTINUOUS QUERIES')
    return shown.flatMap(({ values = [] }) => values.map(([, query]) => query))
  }

  it('says before it starts that it needs HTTP', async () => {
    const words = ['restore', '--host', target.host, '--json', backup]
    const { code, stderr } = await snap(words)
    expect(code, stderr).toBe(15)
    expect(JSON.parse(stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringMatching(/^continuous queries of the backup need the HTTP API/),
      hint: expect.stringContaining('--no-cq'),
    })
    expect(await target.query('SHOW DATABASES')).toEqual([{ name: 'databases', columns: ['name'] }])
  })

  it('goes without', async () => {
    const done = await snapJson([
      'restore',
      '--host',
      target.host,
      '--no-cq',
      '--db',
      'agg',
      backup,
    ])
    expect(done).toMatchObject({ ok: true, continuousQueries: [], users: [] })
    await target.query('DROP DATABASE agg')
  })

  it('makes queries under their new names, users and grants', async () => {
    const file = join(await tempDir('users'), 'passwords')
    const words = ['--rename', 'telegraf=copy', '--rename', 'agg=sums', '--users']
    const command = ['restore', ...http, ...words, '--users-file', file, '--json', backup]
    const plan = await snapJson(['restore', ...http, ...words, '--dry-run', backup])
    expect(plan.continuousQueries).toMatchObject([{ state: 'planned' }, { state: 'planned' }])
    const { code, stdout, stderr } = await snap(command)
    expect(code, stderr).toBe(0)
    const done = JSON.parse(stdout)
    expect(done.continuousQueries).toMatchObject([
      { database: 'copy', name: 'hourly', state: 'created' },
      { database: 'copy', name: 'total', state: 'created' },
    ])
    expect(done.users).toEqual([
      { name: 'root', isAdmin: true, state: 'created', grants: [] },
      {
        ...{ name: 'gra "fana', isAdmin: false, state: 'created' },
        grants: [{ database: 'copy', privilege: 'READ' }],
      },
    ])
    expect(await queriesOf(target)).toEqual([
      'CREATE CONTINUOUS QUERY hourly ON copy BEGIN SELECT mean(value) INTO copy.autogen.cpu_1h FROM copy.autogen.cpu GROUP BY time(1h), * END',
      'CREATE CONTINUOUS QUERY total ON copy BEGIN SELECT count(value) INTO sums.autogen.:MEASUREMENT FROM copy.autogen./.*/ GROUP BY time(1d) END',
    ])
    const [users] = await target.query('SHOW USERS')
    expect(users?.values).toEqual([
      ['root', true],
      ['gra "fana', false],
    ])
    const [grants] = await target.query('SHOW GRANTS FOR "gra \\"fana"')
    expect(grants?.values).toEqual([['copy', 'READ']])
    const lines = (await readFile(file, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toMatchObject([{ user: 'root', admin: true }, { user: 'gra "fana' }])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    for (const secret of [...lines.map(({ password }) => password), '$2a$']) {
      expect(stdout + stderr).not.toContain(secret)
    }
    expect((await snap(command)).code).toBe(17)
  })

  it('changes no user that is there', async () => {
    await target.query('DROP DATABASE copy')
    await target.query('CREATE DATABASE other')
    await target.query('GRANT WRITE ON other TO "gra \\"fana"')
    const file = join(await tempDir('users'), 'passwords')
    const words = ['--db', 'telegraf', '--no-cq', '--users', '--users-file', file]
    const done = await snapJson(['restore', ...http, ...words, backup])
    expect(done.users).toMatchObject([
      { name: 'root', state: 'exists', grants: [] },
      { name: 'gra "fana', state: 'exists', grants: [{ database: 'telegraf' }] },
    ])
    const [grants] = await target.query('SHOW GRANTS FOR "gra \\"fana"')
    expect(grants?.values).toContainEqual(['other', 'WRITE'])
    await expect(stat(file)).rejects.toThrow('ENOENT')
  })

  it('writes out the query of which it is not sure', async () => {
    const command = ['restore', ...http, '--db', 'telegraf', '--newdb', 'lone', '--json', backup]
    const { code, stdout } = await snap(command)
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      continuousQueries: [
        { name: 'hourly', state: 'created' },
        {
          ...{ name: 'total', state: 'left' },
          reason: 'it names database agg, which is not restored with telegraf',
          statement: expect.stringContaining('INTO agg.autogen.:MEASUREMENT FROM "lone".autogen'),
        },
      ],
    })
  })

  it('needs a file for passwords, and a selection of points needs no HTTP', async () => {
    await target.query('DROP USER root')
    const words = ['restore', ...http, '--newdb', 'x', '--db', 'agg']
    const { code, stderr } = await snap([...words, '--users', backup])
    expect([code, stderr]).toEqual([2, expect.stringContaining('--users needs --users-file')])
    const part = ['restore', '--host', target.host, '--db', 'telegraf', '--tag', 'host=b']
    await snapJson([...part, '--newdb', 'part', backup])
    const [shown] = await target.query('SELECT * FROM cpu', { db: 'part' })
    expect(shown?.values).toEqual([[2, 'b', 2]])
    expect(await target.query('SELECT * FROM mem', { db: 'part' })).toEqual([])
  })

  it('names the queries that a live database lacks, and makes them if asked to', async () => {
    const command = ['restore', '--merge', ...http, '--db', 'agg', '--db', 'telegraf']
    await target.query('CREATE DATABASE agg')
    const named = await snapJson([...command, backup])
    expect(named.continuousQueries).toMatchObject([
      { name: 'hourly', state: 'planned' },
      { name: 'total', state: 'planned' },
    ])
    expect(await queriesOf(target)).not.toContain(CQ)
    const made = await snapJson([...command, '--missing-cq', backup])
    expect(made.continuousQueries).toMatchObject([{ state: 'created' }, { state: 'created' }])
    expect(await queriesOf(target)).toContain(CQ)
    expect(await snapJson([...command, '--no-cq', backup])).toMatchObject({ continuousQueries: [] })
  })

  it('writes queries, and users with their passwords, into a directory', async () => {
    const root = await tempDir('directory')
    const place = ['--data-dir', join(root, 'data'), '--influxd-is-stopped']
    const index = ['--index-version', 'tsi1']
    const done = await snapJson(['restore', ...place, ...index, '--users', backup])
    expect(done.users).toMatchObject([{ state: 'created' }, { state: 'created' }])
    const config = { data: { 'index-version': 'tsi1' }, http: { 'auth-enabled': true } }
    const server = await startInfluxd({ dir: root, config })
    try {
      const ask = async (q: string, user: string, password: string) => {
        const url = new URL('/query', server.httpUrl)
        url.search = String(new URLSearchParams({ q, db: 'telegraf', u: user, p: password }))
        return JSON.stringify(await (await fetch(url)).json())
      }
      expect(await ask('SELECT value FROM cpu', 'gra "fana', 'old')).toContain('"values":[[')
      expect(await ask('SELECT value FROM cpu', 'gra "fana', 'new')).toContain('failed')
      expect(await ask('SELECT value FROM agg..cpu', 'gra "fana', 'old')).toContain(
        'not authorized',
      )
      const queries = await ask('SHOW CONTINUOUS QUERIES', 'root', 'roots')
      expect(queries).toContain('hourly')
    } finally {
      await server.dispose()
    }
  })
})
