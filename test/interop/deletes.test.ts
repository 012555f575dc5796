import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockRestore,
} from '../helpers/influxd.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

const DB = 'd'

/**
 * Deletes of every kind over several files, and points written again where something was deleted. Compactions are kept
 * away so that the tombstones are still there when the backup is made.
 */
async function loadDeletes(server: Influxd): Promise<void> {
  await server.query(`CREATE DATABASE ${DB}`)
  const times = Array.from({ length: 3000 }, (_, index) => index * 1_000_000_000)
  const lines = ['a', 'b', 'c', 'd e'].flatMap((host) =>
    times.map((time) => `cpu,host=${host.replace(' ', '\\ ')} v=${time / 1e9},n=${time}i ${time}`),
  )
  await server.write(lines, { db: DB })
  await server.write('gone v=1 1\nagain v=1 1\nagain v=2 2', { db: DB })
  await server.flush()
  await server.query(`DELETE FROM cpu WHERE host = 'a' AND time >= 1000s AND time < 2000s`, {
    db: DB,
  })
  await server.query(`DELETE FROM cpu WHERE host = 'b'`, { db: DB })
  await server.query('DELETE WHERE time = 2999s', { db: DB })
  await server.query('DROP MEASUREMENT gone', { db: DB })
  await server.query('DROP SERIES FROM again', { db: DB })
  await server.write('cpu,host=a v=-1 1500000000000\ncpu,host=b v=-1,n=7i 5\nagain v=3 2', {
    db: DB,
  })
  await server.flush()
  // In the WAL and the cache only.
  await server.query(`DELETE FROM cpu WHERE host = 'd e' AND time < 100s`, { db: DB })
  await server.write('cpu,host=d\\ e v=-2 50000000000', { db: DB })
}

describeWithInfluxd('what was deleted', () => {
  let source: Influxd
  let target: Influxd
  let expected: string[]

  beforeAll(async () => {
    const config = { data: { 'compact-full-write-cold-duration': '24h' } }
    source = await startInfluxd({ config })
    target = await startInfluxd()
    await loadDeletes(source)
    expected = await dumpAll(source, { db: DB, series: false })
    expect(expected.length).toBeGreaterThan(10_000)
  })
  afterAll(async () => {
    await source?.dispose()
    await target?.dispose()
  })

  const restored = async (db: string) => await dumpAll(target, { db, dbAs: DB, series: false })

  it('stays deleted through snap restore to a server', async () => {
    const dir = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', source.host, dir])
    await snapExpecting(0, ['restore', '--host', target.host, '--db', DB, '--newdb', 'wire', dir])
    expect(await restored('wire')).toEqual(expected)
  })

  it('stays deleted through snap backup of the running server’s directory', async () => {
    const dir = await tempDir('set')
    await snapExpecting(0, ['backup', ...directoryFlags(source.dirs), dir])
    await snapExpecting(0, ['restore', '--host', target.host, '--db', DB, '--newdb', 'live', dir])
    expect(await restored('live')).toEqual(expected)
  })

  it.each(['inmem', 'tsi1'] as const)(
    'stays deleted in a directory for %s',
    async (indexVersion) => {
      const dir = await tempDir('set')
      await snapExpecting(0, ['backup', '--host', source.host, dir])
      const fresh = await startInfluxd({ indexVersion })
      await fresh.stop()
      const flags = [...directoryFlags(fresh.dirs), '--index-version', indexVersion]
      await snapExpecting(0, ['restore', ...flags, dir])
      await fresh.start()
      expect(await dumpAll(fresh, { db: DB, series: false })).toEqual(expected)
      await fresh.dispose()
    },
  )

  it('stays deleted when a killed influxd is backed up with all that is in its WAL', async () => {
    const killed = await startInfluxd({
      config: { data: { 'compact-full-write-cold-duration': '24h' } },
    })
    await loadDeletes(killed)
    await killed.kill()
    const dir = await tempDir('set')
    await snapExpecting(0, ['backup', ...directoryFlags(killed.dirs), dir])
    const restore = await stockRestore([
      '-portable',
      '-host',
      target.host,
      '-db',
      DB,
      '-newdb',
      'stock',
      dir,
    ])
    expect(restore, restore.stderr).toMatchObject({ code: 0 })
    await target.settled()
    await snapExpecting(0, ['restore', '--host', target.host, '--db', DB, '--newdb', 'killed', dir])
    expect(await restored('killed')).toEqual(expected)
    await killed.dispose()
  })
})
