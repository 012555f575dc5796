import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { snapExpecting as expecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { loadOddData, PLAIN, SPACED } from '../helpers/odd-data.ts'
import { directoryFlags, startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'

type IndexVersion = 'inmem' | 'tsi1'
/** What a user runs: the compiled program. */
const snapExpecting = async (code: number, args: readonly string[]) =>
  await expecting(code, args, { program: true })

const INDEXES: readonly IndexVersion[] = ['inmem', 'tsi1']

describeWithInfluxd('the four directions', () => {
  let source: Influxd
  let dump: string[]
  /** A backup of `source` by `snap`. */
  let set: string

  beforeAll(async () => {
    source = await startInfluxd()
    await loadOddData(source)
    dump = await dumpAll(source)
    set = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', source.host, set])
  })
  afterAll(async () => {
    await source?.dispose()
  })

  describe('1: snap backup, influxd restore', () => {
    it.each(INDEXES)('restores every point into %s', async (indexVersion) => {
      const target = await startInfluxd({ indexVersion })
      const restore = await stockRestore(['-portable', '-host', target.host, set])
      expect(restore, restore.stderr).toMatchObject({ code: 0 })
      await target.settled()
      expect(await dumpAll(target)).toEqual(dump)
      await target.dispose()
    })

    it('restores one database under another name', async () => {
      const target = await startInfluxd()
      const args = ['-portable', '-host', target.host, '-db', SPACED, '-newdb', 'other', set]
      const restore = await stockRestore(args)
      expect(restore, restore.stderr).toMatchObject({ code: 0 })
      await target.settled()
      const expected = await dumpAll(source, { db: SPACED, dbAs: 'other' })
      expect(await dumpAll(target)).toEqual(expected)
      await target.dispose()
    })
  })

  describe('2: influxd backup from snap serve, snap restore', () => {
    it.each(INDEXES)('restores every point of a stopped influxd with %s', async (indexVersion) => {
      const stopped = await startInfluxd({ indexVersion })
      await loadOddData(stopped)
      await stopped.flush()
      await stopped.stop()
      const before = await treeOf(stopped.dirs.data)
      const served = await startServe(directoryFlags(stopped.dirs))
      const dir = await tempDir('stock')
      const backup = await stockBackup(['-portable', '-host', served.host, dir])
      expect(backup, backup.stderr + served.running.output.stderr).toMatchObject({ code: 0 })
      expect(await served.stop()).toMatchObject({ code: 0 })
      expect(await treeOf(stopped.dirs.data), 'files of the data directory').toEqual(before)

      const target = await startInfluxd({ indexVersion })
      await snapExpecting(0, ['restore', '--host', target.host, dir])
      expect(await dumpAll(target)).toEqual(dump)
      await target.dispose()
      await stopped.dispose()
    })
  })

  describe('3: snap backup, snap restore', () => {
    let target: Influxd

    beforeAll(async () => {
      target = await startInfluxd()
    })
    afterAll(async () => {
      await target?.dispose()
    })
    const restore = async (...args: string[]) =>
      await snapExpecting(0, ['restore', '--host', target.host, ...args, set])

    it.each(INDEXES)('restores everything into %s', async (indexVersion) => {
      const empty = await startInfluxd({ indexVersion })
      await snapExpecting(0, ['restore', '--host', empty.host, set])
      expect(await dumpAll(empty)).toEqual(dump)
      await empty.dispose()
    })

    it('restores a database under another name', async () => {
      await restore('--db', PLAIN, '--newdb', 'new plain')
      const expected = await dumpAll(source, { db: PLAIN, dbAs: 'new plain' })
      expect(await dumpAll(target, { db: 'new plain' })).toEqual(expected)
    })

    it('restores a retention policy under another name', async () => {
      await restore('--db', PLAIN, '--newdb', 'one', '--rp', 'daily', '--newrp', 'every day ✓')
      const names = { db: PLAIN, rp: 'daily', dbAs: 'one', rpAs: 'every day ✓' }
      const expected = await dumpAll(source, names)
      expect(expected.length).toBeGreaterThan(100)
      expect(await dumpAll(target, { db: 'one', series: false })).toEqual(expected)
    })

    it('restores one shard', async () => {
      const [, shard] = (await source.shards()).filter(({ retentionPolicy }) => {
        return retentionPolicy === 'by the hour ✓'
      })
      await restore('--db', SPACED, '--newdb', 'part', '--shard', String(shard?.id))
      const points = await dumpAll(target, { db: 'part', dbAs: SPACED, series: false })
      const times = points.map((line) => BigInt(JSON.parse(line)[6]))
      const hour = 3_600_000_000_000n
      const hours = new Set(times.map((time) => time / hour))
      expect(hours.size).toBe(1)
      const [first = 0n] = hours
      const expected = dump
        .map((line) => ({ line, cells: JSON.parse(line) }))
        .filter(({ cells }) => {
          return cells[1] === 'by the hour ✓' && BigInt(cells[6]) / hour === first
        })
      expect(points).toEqual(expected.map(({ line }) => line))
    })

    it('refuses a database that is there, and leaves it alone', async () => {
      const before = await dumpAll(target)
      await snapExpecting(17, [
        'restore',
        '--host',
        target.host,
        '--db',
        PLAIN,
        '--newdb',
        'one',
        set,
      ])
      expect(await dumpAll(target)).toEqual(before)
    })

    it('says that nothing matched', async () => {
      await snapExpecting(16, ['restore', '--host', target.host, '--db', 'no such', set])
    })
  })

  describe('4: influxd backup, influxd restore into snap serve', () => {
    it.each(INDEXES)('makes a directory that influxd with %s opens', async (indexVersion) => {
      const stock = await tempDir('stock')
      const backup = await stockBackup(['-portable', '-host', source.host, stock])
      expect(backup, backup.stderr).toMatchObject({ code: 0 })

      const target = await startInfluxd({ indexVersion, dir: await tempDir('served') })
      await target.stop()
      await emptied(target)
      const conf = ['--influxdb-config', join(target.root, 'influxdb.conf')]
      const served = await startServe(['--mode', 'read-write', ...conf])
      const restore = await stockRestore(['-portable', '-host', served.host, stock])
      expect(restore, restore.stderr + served.running.output.stderr).toMatchObject({ code: 0 })
      expect(await served.stop()).toMatchObject({ code: 0 })

      await target.start()
      expect(await dumpAll(target)).toEqual(dump)
      await deleteAndDrop(target)
      await target.dispose()
    })
  })
})

/** Leaves nothing of a stopped influxd but its configuration: the server is as new. */
async function emptied({ dirs }: Influxd): Promise<void> {
  for (const dir of Object.values(dirs)) {
    await rm(dir, { recursive: true })
    await mkdir(dir)
  }
}

/** What is restored must not only be readable: the index has to know it, too. */
async function deleteAndDrop(server: Influxd): Promise<void> {
  await server.query(`DELETE FROM "types" WHERE "type" = 'float'`, { db: SPACED })
  await server.query('DROP MEASUREMENT "times"', { db: SPACED })
  await server.query(`DROP SERIES FROM "m plain"`, { db: SPACED })
  const left = await dumpAll(server, { db: SPACED })
  const measurements = left.map((line) => JSON.parse(line)).map((cells) => cells[2])
  expect(measurements).toContain('types')
  expect(measurements).not.toContain('times')
  expect(measurements).not.toContain('m plain')
  expect(left.filter((line) => line.includes('type=float'))).toEqual([])
  await server.write('types,type=float float=7 1', { db: SPACED })
  const found = await server.query('SELECT "float" FROM "types"', { db: SPACED })
  expect(found[0]?.values).toEqual([[1, 7]])
  await server.query(`DROP DATABASE "${PLAIN}"`)
  expect(await dumpAll(server, { db: PLAIN })).toEqual([])
}
