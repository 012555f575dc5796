import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd, stockBackup } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'

/** 2020-01-01 in seconds. */
const START = 1_577_836_800
const DAY = 86_400
const HOUR = 3600

/** Lets the files of a database look so many hours old; those of which the name has `part` in it. */
async function age({ dirs }: Influxd, db: string, hours: number, part = ''): Promise<void> {
  const then = new Date(Date.now() - hours * HOUR * 1000)
  const files = await readdir(join(dirs.data, db), { recursive: true })
  for (const name of files.filter((each) => /\.(tsm|tombstone)$/.test(each))) {
    if (name.includes(part)) await utimes(join(dirs.data, db, name), then, then)
  }
}

describeWithInfluxd('sets of influxd in one directory', () => {
  let source: Influxd
  let target: Influxd

  beforeAll(async () => {
    const started = (after: string) =>
      startInfluxd({
        indexVersion: 'tsi1',
        config: { data: { 'compact-full-write-cold-duration': after } },
      })
    source = await started('24h')
    target = await started('1s')
  })
  afterAll(async () => {
    await source?.dispose()
    await target?.dispose()
  })

  /** Databases of which the names begin with `f` are of the server that compacts. */
  const serverOf = (db: string) => (db.startsWith('f') ? target : source)
  const create = (db: string) =>
    serverOf(db).query(`CREATE DATABASE ${db} WITH DURATION INF SHARD DURATION 1d`)
  const write = (db: string, seconds: number, text: string) =>
    serverOf(db).write(`${text} ${START + seconds}`, { db, precision: 's' })
  /** A set is named by its second. */
  const backup = async (db: string, dir: string, ...args: string[]) => {
    await sleep(1000 - (Date.now() % 1000))
    expect(
      await stockBackup(['-portable', '-host', serverOf(db).host, '-db', db, ...args, dir]),
    ).toMatchObject({ code: 0 })
  }
  /** Writes to the disk what is in the caches. */
  const flush = async (db: string) => await backup(db, await tempDir('flush'))
  /** Takes the name of the file that influxd would write for a shard with a tombstone, at any moment. */
  const keepFromCompacting = async (db: string) => {
    const [shard] = (await source.shards()).filter(({ database }) => database === db)
    const dir = join(source.dirs.data, db, 'autogen', `${shard?.id}`)
    await mkdir(join(dir, '000000001-000000002.tsm.tmp'))
  }
  const iso = (seconds: number) => new Date((START + seconds) * 1000).toISOString()
  const linesOf = async (db: string, dir: string, ...args: string[]) => {
    const from = ['export', '--from', dir, '--db', db, '--format', 'lp', ...args, '-']
    const { stdout, stderr } = await snapExpecting(0, from)
    const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    return { lines: lines.sort(), said: stderr }
  }

  it('made with -since are put together', async () => {
    await create('d')
    const dir = await tempDir('since')
    for (let day = 0; day < 3; day++) {
      for (const host of ['a', 'b']) await write('d', day * DAY + HOUR, `m,host=${host} v=${day}`)
    }
    const changes = [
      async () => {},
      async () => {
        await write('d', DAY, 'm,host=a v=10')
        await write('d', DAY + HOUR, 'm,host=a v=11')
        await write('d', DAY + 2 * HOUR, 'm,host=a v=12')
      },
      async () => {
        await keepFromCompacting('d')
        await source.query(`DELETE FROM m WHERE host = 'b' AND time < ${START + DAY}s`, { db: 'd' })
      },
      () => write('d', 5 * DAY, 'other,host=c text="new"'),
    ]
    for (const [index, change] of changes.entries()) {
      await change()
      const since = new Date(Date.now() - 60_000).toISOString()
      await backup('d', dir, ...(index === 0 ? [] : ['-since', since]))
      await age(source, 'd', 5 - index)
    }
    const to = ['--host', target.host, '--http', target.httpUrl, '--db', 'd', '--newdb', 'r']
    const { stderr } = await snapExpecting(0, ['restore', ...to, dir])
    expect(stderr).toContain('put together out of the sets')
    await target.settled()
    expect(await dumpAll(target, { db: 'r' })).toEqual(
      await dumpAll(source, { db: 'd', dbAs: 'r' }),
    )
    await snapExpecting(0, ['verify', '--deep', dir])
    await snapExpecting(0, ['diff', '--db', 'd', dir, source.host])
    const prune = ['prune', '--include-stock', '--keep-last', '1', '--confirm']
    await snapExpecting(0, [...prune, dir])
    expect((await readdir(dir)).filter((name) => name.endsWith('.manifest'))).toHaveLength(4)
    const alone = await linesOf('d', dir, '--chain', 'newest')
    expect(alone.lines).toEqual([`other,host=c text="new" ${START + 5 * DAY}000000000`])
    expect(alone.said).not.toContain('put together')
  })

  it('made with -start and -end are put together, and the newest point wins', async () => {
    await create('c')
    const dir = await tempDir('cut')
    await write('c', HOUR, 'm,host=a v=1')
    await write('c', 20 * HOUR, 'm,host=b v=2')
    await write('c', DAY + HOUR, 'm,host=a v=3')
    await flush('c')
    await age(source, 'c', 3)
    await backup('c', dir, '-start', iso(0), '-end', iso(10 * HOUR))
    await write('c', DAY + HOUR, 'm,host=a v=4')
    await backup('c', dir, '-start', iso(10 * HOUR), '-end', iso(3 * DAY))
    const { lines, said } = await linesOf('c', dir)
    expect(lines).toEqual([
      `m,host=a v=1 ${START + HOUR}000000000`,
      `m,host=a v=4 ${START + DAY + HOUR}000000000`,
      `m,host=b v=2 ${START + 20 * HOUR}000000000`,
    ])
    expect(said).toContain('--chain newest')
  })

  /** Deletes the middle one of three points of a day, and waits until nothing in the shard tells of it. */
  const deleteForGood = async (db: string) => {
    const shard = (await target.shards()).find(({ database }) => database === db)
    const dir = join(target.dirs.data, db, 'autogen', `${shard?.id}`)
    const files = async () => (await readdir(dir)).filter((name) => /tsm|tombstone/.test(name))
    const before = await files()
    const time = `time = ${START + 2 * HOUR}s`
    await target.query(`DELETE FROM m WHERE ${time}`, { db })
    await write(db, 4 * HOUR, 'm,host=a v=4')
    await flush(db)
    for (let tries = 0; tries < 300; tries++) {
      const now = await files()
      if (now.length === 1 && !before.includes(now[0] ?? '')) return
      await sleep(100)
    }
    throw new Error(`not compacted: ${(await files()).join(' ')}`)
  }
  const writeDays = async (db: string, days: number) => {
    await create(db)
    for (const hour of [1, 2, 3]) await write(db, hour * HOUR, `m,host=a v=${hour}`)
    for (let day = 1; day < days; day++) await write(db, day * DAY, 'm,host=a v=9')
    await flush(db)
  }

  it('made whole stand for themselves: what was deleted between them stays deleted', async () => {
    const dir = await tempDir('full')
    await writeDays('f', 2)
    await age(target, 'f', 5)
    await age(target, 'f', 3, '000000001-000000001')
    const [cold] = (await target.shards()).filter(({ database }) => database === 'f').slice(1)
    await age(target, 'f', 9, `autogen/${cold?.id}/`)
    await backup('f', dir)
    await deleteForGood('f')
    await backup('f', dir)
    const { lines, said } = await linesOf('f', dir)
    expect(lines).toEqual([
      ...[1, 3, 4].map((hour) => `m,host=a v=${hour} ${START + hour * HOUR}000000000`),
      `m,host=a v=9 ${START + DAY}000000000`,
    ])
    expect(said).not.toContain('put together')
    await snapExpecting(0, ['prune', '--include-stock', '--keep-last', '1', '--confirm', dir])
    expect((await readdir(dir)).filter((name) => name.endsWith('.manifest'))).toHaveLength(1)
  })

  it('of which nobody can tell are put together, with a word about it', async () => {
    const dir = await tempDir('doubt')
    await writeDays('fg', 1)
    await age(target, 'fg', 3)
    await backup('fg', dir)
    await deleteForGood('fg')
    await backup('fg', dir)
    const points = (...hours: number[]) =>
      hours.map((hour) => `m,host=a v=${hour} ${START + hour * HOUR}000000000`)
    const { lines, said } = await linesOf('fg', dir)
    expect(lines).toEqual(points(1, 2, 3, 4))
    expect(said).toContain('points deleted in between may come back')
    expect((await linesOf('fg', dir, '--chain', 'newest')).lines).toEqual(points(1, 3, 4))
    expect((await linesOf('fg', dir, '--chain', 'union')).lines).toEqual(points(1, 2, 3, 4))
    const [oldest = ''] = (await readdir(dir)).filter((name) => name.endsWith('.gz')).sort()
    await writeFile(join(dir, oldest), 'damaged')
    const refused = await snapExpecting(13, ['restore', '--db', 'fg', '--dry-run', dir])
    expect(refused.stderr).toContain('--chain newest takes it alone')
    expect((await linesOf('fg', dir, '--chain', 'newest')).lines).toEqual(points(1, 3, 4))
  })
})
