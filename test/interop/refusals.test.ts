import { copyFile, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { snap, snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockRestore,
} from '../helpers/influxd.ts'
import { directoryFlags, startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf, treeOf } from '../helpers/tree.ts'

const HOUR = 3_600_000_000_000n
const START = 1_500_000_000_000_000_000n

describeWithInfluxd('what is refused, and what is left then', () => {
  let source: Influxd
  let target: Influxd

  beforeAll(async () => {
    source = await startInfluxd()
    target = await startInfluxd()
    await source.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1h NAME hourly')
    const lines = [0n, 1n, 2n].map((hour) => `m v=${hour} ${START + hour * HOUR}`)
    await source.write(lines, { db: 'd' })
  })
  afterAll(async () => {
    await source?.dispose()
    await target?.dispose()
  })

  const backup = async (dir: string, ...flags: string[]) =>
    await snapExpecting(0, ['backup', '--host', source.host, ...flags, dir])

  // The server writes its metadata to the disk for each policy.
  it('more metadata than an older server takes', { timeout: 120_000 }, async () => {
    await source.query('CREATE DATABASE wide')
    for (let i = 0; i < 300; i++) {
      const name = `p${i}`.padEnd(250, 'x')
      await source.query(`CREATE RETENTION POLICY ${name} ON wide DURATION INF REPLICATION 1`)
    }
    await source.write(['m v=1 1'], { db: 'wide' })
    const dir = await tempDir('wide')
    await backup(dir, '--db', 'wide')
    const words = ['restore', '--host', target.host, '--newdb', 'wide_2']
    const { code, stderr } = await snap([...words, '--http', target.httpUrl, dir])
    expect([code, stderr]).toEqual([
      15,
      expect.stringMatching(/too old for this restore.*1\.8\.10/),
    ])
    expect(await target.query('SHOW SHARDS')).toEqual([])
    await source.query('DROP DATABASE wide')
  })

  describe('a target', () => {
    it('of another server', async () => {
      const dir = await tempDir('foreign')
      await backup(dir)
      await target.query('CREATE DATABASE e')
      await target.write('m v=1 1', { db: 'e' })
      const before = await treeOf(dir)
      await snapExpecting(17, ['backup', '--host', target.host, dir])
      expect(await treeOf(dir)).toEqual(before)
    })

    it('of whole sets for one bounded in time', async () => {
      const dir = await tempDir('kinds')
      await backup(dir)
      const before = await treeOf(dir)
      await snapExpecting(17, [
        'backup',
        '--host',
        source.host,
        '--start',
        '2017-01-01T00:00:00Z',
        dir,
      ])
      expect(await treeOf(dir)).toEqual(before)
    })

    it('that is another run’s at the moment', async () => {
      const dir = await tempDir('locked')
      const both = await Promise.all([
        snap(['backup', '--host', source.host, dir], { program: true }),
        snap(['backup', '--host', source.host, dir], { program: true }),
      ])
      const codes = both.map(({ code }) => code).sort()
      expect(codes[0]).toBe(0)
      expect([0, 11]).toContain(codes[1])
      const manifests = (await filesOf(dir)).filter((name) => name.endsWith('.manifest'))
      expect(manifests.length).toBe(codes.filter((code) => code === 0).length)
    })
  })

  describe('a source', () => {
    it('without a backup in it', async () => {
      await snapExpecting(10, ['restore', '--host', target.host, await tempDir('empty')])
      await snapExpecting(10, ['restore', '--host', target.host, '/no/such/directory'])
    })

    it.each([
      ['whose manifest cannot be read', '.manifest'],
      ['whose meta file is cut', '.meta'],
      ['with an archive that is cut', '.tar.gz'],
    ])('%s', async (_, suffix) => {
      const dir = await tempDir('damaged')
      await backup(dir)
      const [name = ''] = (await readdir(dir)).filter((file) => file.endsWith(suffix))
      await truncate(join(dir, name), 20)
      const before = await dumpAll(target)
      const { stderr } = await snapExpecting(13, ['restore', '--host', target.host, dir])
      expect(stderr).toContain(name)
      expect(await dumpAll(target)).toEqual(before)
      expect(await databases(target)).not.toContain('d')
    })

    it('with an archive that is missing', async () => {
      const dir = await tempDir('missing')
      await backup(dir)
      const [name = ''] = (await readdir(dir)).filter((file) => file.endsWith('.tar.gz'))
      await rm(join(dir, name))
      const { stderr } = await snapExpecting(13, ['restore', '--host', target.host, dir])
      expect(stderr).toContain(name)
      expect(await databases(target)).not.toContain('d')
    })

    it('with one bit turned over in an archive', async () => {
      const dir = await tempDir('flipped')
      await backup(dir, '--compression', 'none')
      const [name = ''] = (await readdir(dir)).filter((file) => file.endsWith('.tar.gz'))
      const bytes = await readFile(join(dir, name))
      bytes[700] = (bytes[700] ?? 0) ^ 1
      await writeFile(join(dir, name), bytes)
      await snapExpecting(13, ['restore', '--host', target.host, dir])
      expect(await databases(target)).not.toContain('d')
    })
  })

  describe('a shard', () => {
    it('that the server dropped meanwhile is left out and named', async () => {
      const dir = await tempDir('dropped')
      const dropping = await startInfluxd()
      await dropping.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1h NAME hourly')
      await dropping.write(`m v=1 ${START}\nm v=2 ${START + HOUR}`, { db: 'd' })
      // The metastore may still know a shard whose files the server has no more; the whole answer is empty then.
      const [first] = await dropping.shards()
      await dropping.query(`DROP SHARD ${first?.id}`)
      const { stdout } = await snapExpecting(0, ['backup', '--host', dropping.host, dir])
      expect(stdout).toMatch(/1 shard/)
      await dropping.dispose()
    })

    it('that does not exist', async () => {
      const dir = await tempDir('unknown')
      await snapExpecting(16, ['backup', '--host', source.host, '--shard', '4711', dir])
      expect(await filesOf(dir)).toEqual([])
    })
  })

  describe('a server', () => {
    it('that is running, for changes to its directories', async () => {
      const before = await dumpAll(source)
      const args = [
        'serve',
        '--mode',
        'read-write',
        '--bind',
        '127.0.0.1:0',
        ...directoryFlags(source.dirs),
      ]
      const { code, stderr } = await snap(args)
      expect(code, stderr).not.toBe(0)
      expect(stderr).toContain(String(source.pid))
      expect(await dumpAll(source)).toEqual(before)
    })

    it('that is served read-only, for restores', async () => {
      const dir = await tempDir('set')
      await backup(dir)
      const stopped = await startInfluxd()
      await stopped.query('CREATE DATABASE other')
      await stopped.stop()
      const served = await startServe(directoryFlags(stopped.dirs))
      const before = await treeOf(stopped.root)
      expect((await snap(['restore', '--host', served.host, dir])).code).not.toBe(0)
      expect((await stockRestore(['-portable', '-host', served.host, dir])).code).not.toBe(0)
      await served.stop()
      expect(await treeOf(stopped.root)).toEqual(before)
      await stopped.dispose()
    })

    it('at the HTTP port, with a word about it', async () => {
      const dir = await tempDir('http')
      const http = source.httpUrl.replace('http://', '')
      const { stderr } = await snapExpecting(14, ['backup', '--host', http, dir])
      expect(stderr).toMatch(/HTTP|8088/)
      expect(await filesOf(dir)).toEqual([])
    })
  })

  it.each([
    ['--compression none', ['--compression', 'none']],
    ['one job', ['--jobs', '1']],
    ['--since long ago', ['--since', '2000-01-01T00:00:00Z']],
  ])('a stock restore takes a set made with %s', async (title, flags) => {
    const dir = await tempDir('kinds')
    await backup(dir, ...flags)
    const newdb = `with ${title}`
    const restore = await stockRestore([
      '-portable',
      '-host',
      target.host,
      '-db',
      'd',
      '-newdb',
      newdb,
      dir,
    ])
    expect(restore, restore.stderr).toMatchObject({ code: 0 })
    await target.settled()
    expect(await dumpAll(target, { db: newdb, dbAs: 'd' })).toEqual(
      await dumpAll(source, { db: 'd' }),
    )
  })

  it('a set made while a copy of another lies beside it is still the newest', async () => {
    const dir = await tempDir('copies')
    await backup(dir)
    const names = await readdir(dir)
    const elsewhere = await tempDir('elsewhere')
    for (const name of names) await copyFile(join(dir, name), join(elsewhere, name))
    await source.write(`m v=9 ${START + 5n}`, { db: 'd' })
    await backup(elsewhere)
    await snapExpecting(0, [
      'restore',
      '--host',
      target.host,
      '--db',
      'd',
      '--newdb',
      'newest',
      elsewhere,
    ])
    expect(await dumpAll(target, { db: 'newest', dbAs: 'd' })).toEqual(
      await dumpAll(source, { db: 'd' }),
    )
  })
})

async function databases(server: Influxd): Promise<unknown[]> {
  const [series] = await server.query('SHOW DATABASES')
  return (series?.values ?? []).flat()
}
