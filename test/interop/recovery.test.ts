import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { describeWithAge } from '../helpers/age-binary.ts'
import { type Example, examplesIn, makeSampleData, makeSandbox } from '../helpers/examples.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'

const PAGE = await readFile(join(ROOT, 'docs/recovery.md'), 'utf8')
const TIMEOUT = 120_000

/** The blocks under each heading. */
const SECTIONS = new Map(
  PAGE.split('\n## ').map((section): [string, Example[]] => [
    section.split('\n')[0] ?? '',
    examplesIn(section),
  ]),
)

/** A machine with the sample data, a backup of it, and an empty one. */
async function makeScene() {
  const dir = await tempDir('recovery')
  await makeSampleData(join(dir, 'lib'))
  const server = await startInfluxd({ dir: join(dir, 'lib') })
  const other = await startInfluxd({ dir: join(dir, 'srv/influxdb') })
  const sandbox = await makeSandbox(dir, {
    ...{ host: server.host, http: server.httpUrl },
    ...{ otherHost: other.host, otherHttp: other.httpUrl },
    receiver: 'http://none.invalid',
  })
  const run = async (script: string) => {
    const { code, stdout } = await sandbox.run(script)
    expect(code, `${script}\n${stdout}`).toBe(0)
    return stdout
  }
  await run('snap backup --quiet /backup/influx')
  return { dir, server, other, run }
}

type Scene = Awaited<ReturnType<typeof makeScene>>

/** Follows a section, on the machine of `server`: influxd is stopped and started for the service manager. */
async function follow(section: string, { run }: Scene, server: Influxd): Promise<string> {
  const blocks = SECTIONS.get(section) ?? []
  expect(blocks, section).not.toEqual([])
  let said = ''
  for (const { text } of blocks) {
    for (const part of text.split(/^(sudo systemctl (?:stop|start) influxdb)\n/m)) {
      if (part.endsWith('stop influxdb')) await server.stop()
      else if (part.endsWith('start influxdb')) await server.start()
      else if (part !== '') said += await run(part)
    }
  }
  return said
}

/** How many points there are of a field. */
async function count(server: Influxd, db: string, field: string, from: string): Promise<unknown> {
  const [series] = await server.query(`SELECT count(${field}) FROM ${from}`, { db })
  return series?.values?.[0]?.[1]
}

/** What the sample data has. */
const CPU = 3 * 4 * 8640 + 862 - 12
const PUMP = 72

async function expectAll(server: Influxd): Promise<void> {
  expect(await count(server, 'telegraf', 'usage_user', 'cpu')).toBe(CPU)
  expect(await count(server, 'telegraf', 'usage_user', 'yearly.cpu_weekly')).toBe(52)
  expect(await count(server, 'plant', 'state', 'pump')).toBe(PUMP)
}

describeWithInfluxd('docs/recovery.md', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await makeScene()
    return async () => {
      await scene.server.dispose()
      await scene.other.dispose()
    }
  }, TIMEOUT)

  it('has no section that is not tried here', () => {
    const tried = [...SECTIONS].filter(([, blocks]) => blocks.length > 0).map(([name]) => name)
    expect(tried).toEqual([
      'Before it happens: drill',
      'Always first',
      'A server is lost',
      'A database is lost',
      'Points were deleted',
      'A damaged shard',
      'meta.db is lost',
      'The server moves',
      'The keys are lost',
    ])
  })

  it('drills, and looks first', { timeout: TIMEOUT }, async () => {
    const drilled = await follow('Before it happens: drill', scene, scene.server)
    expect(drilled).toMatch(/recovered in|restored in/)
    expect(await follow('Always first', scene, scene.server)).toContain('whole')
  })

  it('brings back a lost server, users and all', { timeout: TIMEOUT }, async () => {
    const { other } = scene
    await follow('A server is lost', scene, other)
    await expectAll(other)
    for (const db of ['telegraf', 'plant']) await other.query(`DROP DATABASE ${db}`)
  })

  it('repairs a damaged shard', { timeout: TIMEOUT }, async () => {
    const { server, dir } = scene
    await server.stop()
    // influxd may have compacted the shard by now: its file gets the name on the page.
    const shard = join(dir, 'lib/data/telegraf/autogen/2')
    const file = join(shard, '000000002-000000001.tsm')
    const [name = ''] = (await readdir(shard)).filter((each) => each.endsWith('.tsm'))
    await rename(join(shard, name), file)
    const bytes = await readFile(file)
    await writeFile(file, bytes.fill(0xff, 1000, 1400))
    await server.start()
    const said = await follow('A damaged shard', scene, server)
    expect(said).toContain('000000002-000000001.tsm')
    expect(await count(server, 'telegraf', 'usage_user', 'cpu')).toBe(CPU)
    expect(await readdir(join(dir, 'lib'))).toContain('damaged.tsm')
  })

  it('brings back a lost database', { timeout: TIMEOUT }, async () => {
    const { server } = scene
    await server.query('DROP DATABASE plant')
    await follow('A database is lost', scene, server)
    await expectAll(server)
  })

  it('brings back deleted points, and leaves newer ones', { timeout: TIMEOUT }, async () => {
    const { server } = scene
    const range = "time >= '2024-06-02T00:00:00Z' AND time <= '2024-06-02T06:00:00Z'"
    await server.write('cpu,host=new usage_user=1 1717286400000000000', { db: 'telegraf' })
    await server.query(`DELETE FROM cpu WHERE host = 'app1' AND ${range}`, { db: 'telegraf' })
    expect(await count(server, 'telegraf', 'usage_user', 'cpu')).toBeLessThan(CPU)
    await follow('Points were deleted', scene, server)
    expect(await count(server, 'telegraf', 'usage_user', 'cpu')).toBe(CPU + 1)
  })

  it('moves to another server', { timeout: TIMEOUT }, async () => {
    const { server, other, run } = scene
    await follow('The server moves', scene, server)
    expect(await count(other, 'telegraf', 'usage_user', 'cpu')).toBe(CPU + 1)
    expect(
      await run('snap backup --host db2.example.net:8088 /backup/influx || echo $?'),
    ).toContain('17')
  })

  it('brings back what a lost meta.db named', { timeout: TIMEOUT }, async () => {
    const { server, dir, run } = scene
    await server.stop()
    await run('rm /var/lib/influxdb/meta/meta.db')
    await server.start()
    expect(await server.shards()).toEqual([])
    await follow('meta.db is lost', scene, server)
    expect(await count(server, 'telegraf', 'usage_user', 'cpu')).toBe(CPU + 1)
    expect(await count(server, 'plant', 'state', 'pump')).toBe(PUMP)
    expect(await readdir(join(dir, 'lib.old'))).toContain('data')
  })
})

describeWithAge('docs/recovery.md, on encrypted sets', () => {
  describeWithInfluxd('with influxd', () => {
    it('goes on with the key that is left', { timeout: TIMEOUT }, async () => {
      const scene = await makeScene()
      const { server, other, run } = scene
      await run(`age-keygen -o spare-key.txt; age-keygen -o lost-key.txt
        cat spare-key.txt lost-key.txt | age-keygen -y > both
        snap backup --quiet --encrypt-to both /backup/sealed; rm lost-key.txt`)
      await follow('The keys are lost', scene, server)
      await run(`snap verify --deep --identity new-key.txt /backup/sealed-anew
        snap restore --host db2.example.net:8088 --identity new-key.txt /backup/sealed-anew`)
      await expectAll(other)
      await server.dispose()
      await other.dispose()
    })
  })
})
