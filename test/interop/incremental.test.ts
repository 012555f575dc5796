import { copyFile, mkdir, readdir, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { snapExpecting } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { directoryFlags, type Served, startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

const DAY = 86_400
/** 2020-01-01 in seconds. */
const START = 1_577_836_800
const DAYS = 4
/** Longer ago than any clock is wrong. */
const OLD = new Date(Date.now() - 3_600_000)

type Way = 'http' | 'plain' | 'probe' | 'serve' | 'directory'
const WAYS: readonly Way[] = ['http', 'plain', 'probe', 'serve', 'directory']

interface Result {
  readonly set: string
  readonly parent?: string
  readonly fullBecause?: string
  readonly fetchedBytes: number
  readonly bytes: number
  readonly completeness: string
  readonly shards: readonly { readonly shardId: string; readonly reused?: string }[]
}

describeWithInfluxd('incremental backups of a real influxd', () => {
  const config = { data: { 'compact-full-write-cold-duration': '24h' } }
  let influxd: Influxd
  let served: Served
  let root: string

  beforeAll(async () => {
    root = await tempDir('incremental')
    influxd = await startInfluxd({ dir: join(root, 'influxdb'), config })
    served = await startServe(directoryFlags(influxd.dirs))
    await influxd.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
    for (let day = 0; day < DAYS; day++) {
      await influxd.write(`m,host=a v=${day} ${at(day, 1)}\nm,host=b v=${day} ${at(day, 2)}`, {
        db: 'd',
        precision: 's',
      })
    }
    await influxd.flush()
    await age()
  })
  afterAll(async () => {
    await served?.stop()
    await influxd?.dispose()
  })

  const at = (day: number, hour: number) => START + day * DAY + hour * 3600
  const shardDir = (id: number | string, db = 'd') =>
    join(influxd.dirs.data, db, 'autogen', String(id))
  const target = (way: Way) => join(root, 'targets', way)
  const source = (way: Way): string[] => {
    const { host, httpUrl, dirs } = influxd
    if (way === 'directory') return directoryFlags(dirs)
    if (way === 'serve') return ['--host', served.host]
    if (way === 'http') return ['--host', host, '--http', httpUrl]
    return ['--host', host, ...(way === 'probe' ? ['--trust-probe'] : [])]
  }

  const write = async (lines: string) => {
    await influxd.write(lines, { db: 'd', precision: 's' })
  }

  /** Lets all files look old, as they are in a server that is backed up once a day. */
  async function age(): Promise<void> {
    for (const { id, database } of await influxd.shards()) {
      const dir = shardDir(id, database)
      for (const name of await readdir(dir).catch(() => [])) {
        if (/\.(tsm|tombstone)$/.test(name)) await utimes(join(dir, name), OLD, OLD)
      }
    }
  }

  async function backUp(way: Way, ...more: string[]): Promise<Result> {
    await mkdir(target(way), { recursive: true })
    const words = ['backup', '--incremental', '--quiet', ...source(way), ...more, target(way)]
    const { stdout } = await snapExpecting(0, [...words, '--json'])
    return JSON.parse(stdout)
  }

  const fresh = ({ shards }: Result) =>
    shards.filter(({ reused }) => reused === undefined).map(({ shardId }) => Number(shardId))

  /** The points of the server as line protocol. */
  async function live(): Promise<string[]> {
    const lines: string[] = []
    for (const { tags, values = [] } of await influxd.query('SELECT v FROM m GROUP BY host', {
      db: 'd',
    })) {
      for (const [time, v] of values) {
        lines.push(`m,host=${tags?.['host']} v=${v} ${BigInt(Number(time) / 1e9)}000000000`)
      }
    }
    return lines.sort()
  }

  async function stored(way: Way): Promise<string[]> {
    const { stdout } = await snapExpecting(0, [
      'export',
      ...['--quiet', '--format', 'lp', '--db', 'd', '--from', target(way), '-'],
    ])
    return stdout
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .sort()
  }

  /** Shards that have tombstones: influxd compacts them when it likes. */
  const deletedFrom = new Set<number>()

  /**
   * Backs up in every way and expects the newest set of each to hold just what the server does, with these shards fetched.
   * @param blind ways that do not see it
   */
  async function expectSeen(shards: readonly number[], blind: readonly Way[] = []): Promise<void> {
    const expected = await live()
    for (const way of WAYS) {
      const isBlind = blind.includes(way)
      const fetched = fresh(await backUp(way)).filter((id) => !deletedFrom.has(id))
      const got = await stored(way)
      if (isBlind) expect(got, `${way} does not see it`).not.toEqual(expected)
      else expect(got, way).toEqual(expected)
      const inQuestion = shards.filter((id) => !deletedFrom.has(id))
      expect(fetched, way).toEqual(isBlind ? [] : inQuestion)
    }
  }

  it('begin with a full set', async () => {
    for (const way of WAYS) {
      const result = await backUp(way)
      expect(fresh(result), way).toEqual([1, 2, 3, 4])
      expect(result.fullBecause).toMatch(/no older set/)
      expect(result.parent).toBeUndefined()
    }
  })

  it('fetch nothing if nothing changed, and still make a set', async () => {
    for (const way of WAYS) {
      const result = await backUp(way)
      expect(fresh(result), way).toEqual([])
      expect(result.parent).toMatch(/^\d{8}T\d{6}Z$/)
      const isProven = !['plain', 'probe'].includes(way)
      expect(result.completeness, way).toBe(isProven ? 'confirmed' : 'unconfirmed')
      // Without figures and without trust each shard is read and compared.
      if (way === 'plain') expect(result.fetchedBytes).toBe(result.bytes)
      if (way === 'http' || way === 'probe') expect(result.fetchedBytes).toBe(0)
    }
    // What a snapshot of influxd does to its files, the links it makes, was looked at; nothing has touched them since.
    expect(await backUp('serve')).toMatchObject({ fetchedBytes: 0 })
    expect(await backUp('directory')).toMatchObject({ fetchedBytes: 0 })
  })

  it('see a late write into an old shard that is only in the cache', async () => {
    await write(`m,host=a v=10 ${at(0, 5)}`)
    await expectSeen([1])
  })

  it('see an overwritten point', async () => {
    await write(`m,host=a v=11 ${at(1, 1)}`)
    await expectSeen([2])
  })

  it('see a delete of a part, before and after a restart of influxd', async () => {
    await influxd.query(`DELETE FROM m WHERE time = ${at(0, 2)}s`, { db: 'd' })
    deletedFrom.add(1)
    await expectSeen([1])
    await age()
    await influxd.restart()
    await expectSeen([])
  })

  it('see everything in a shard deleted, and its files gone', async () => {
    await influxd.query(`DELETE FROM m WHERE time >= ${at(2, 0)}s AND time < ${at(3, 0)}s`, {
      db: 'd',
    })
    await influxd.stop()
    for (const name of await readdir(shardDir(3))) {
      if (/\.(tsm|tombstone)$/.test(name)) await rm(join(shardDir(3), name))
    }
    await influxd.start()
    await expectSeen([3], ['probe'])
  })

  it('see a file that was added by hand with an old time', async () => {
    await influxd.stop()
    const [file = ''] = (await readdir(shardDir(4))).filter((name) => name.endsWith('.tsm'))
    await copyFile(join(shardDir(4), file), join(root, file))
    const other = await startInfluxd({ config })
    await other.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
    await other.write(`m,host=c v=12 ${at(3, 7)}`, { db: 'd', precision: 's' })
    await other.flush()
    const [made = ''] = (await readdir(join(other.dirs.data, 'd/autogen/1'))).filter((name) =>
      name.endsWith('.tsm'),
    )
    const added = join(shardDir(4), '000000009-000000001.tsm')
    await copyFile(join(other.dirs.data, 'd/autogen/1', made), added)
    await utimes(added, OLD, OLD)
    await other.dispose()
    await influxd.start()
    await expectSeen([4], ['probe'])
  })

  it('see a delete while the clock was set back, or do not before the files are too old', async () => {
    const files = async () => (await readdir(shardDir(2))).filter((name) => name.endsWith('.tsm'))
    const before = await files()
    await influxd.query(`DELETE FROM m WHERE time = ${at(1, 2)}s`, { db: 'd' })
    await age()
    deletedFrom.add(2)
    const expected = await live()
    for (const way of ['directory', 'serve', 'plain', 'probe', 'http'] as const) {
      await backUp(way)
      const got = await stored(way)
      const isCompacted = `${await files()}` !== `${before}`
      if (way !== 'probe' && way !== 'http') expect(got, way).toEqual(expected)
      else if (!isCompacted) expect(got, `${way} does not see it`).not.toEqual(expected)
    }
    await influxd.restart()
    // A server that was started after them counts tombstones.
    await backUp('http')
    expect(await stored('http')).toEqual(expected)
    const { fullBecause } = await backUp('probe', '--full-every', '1s')
    expect(fullBecause).toMatch(/ is older than --full-every$/)
    expect(await stored('probe')).toEqual(expected)
  })

  it('see a database of the same name that is another', async () => {
    await influxd.query('DROP DATABASE d')
    await influxd.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
    await write(`m,host=a v=0 ${at(0, 1)}\nm,host=b v=0 ${at(0, 2)}\nm,host=a v=3 ${at(1, 2)}`)
    await influxd.flush()
    await age()
    await expectSeen([5, 6])
  })
})

describeWithInfluxd('an incremental backup after a compaction', () => {
  it('has the compacted file instead of those it was made of, and no deleted point', async () => {
    const config = { data: { 'compact-full-write-cold-duration': '1s' } }
    const influxd = await startInfluxd({ config })
    try {
      await influxd.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
      const write = async (values: readonly number[]) => {
        const lines = values.map((v) => `m v=${v} ${START + v}`).join('\n')
        await influxd.write(lines, { db: 'd', precision: 's' })
        await influxd.flush()
      }
      const dir = join(influxd.dirs.data, 'd/autogen/1')
      const files = async () =>
        (await readdir(dir)).filter((name) => /\.(tsm|tombstone)$/.test(name))
      await write([1, 2])
      await write([3])
      const place = await tempDir('compacted')
      const from = ['--host', influxd.host, '--http', influxd.httpUrl]
      const backUp = async () => {
        const words = ['backup', '--incremental', '--quiet', '--json', ...from, place]
        return JSON.parse((await snapExpecting(0, words)).stdout) as Result
      }
      await backUp()
      const before = await files()
      await influxd.query(`DELETE FROM m WHERE time = ${START + 2}s`, { db: 'd' })
      await write([4])
      await vi.waitFor(
        async () => {
          const now = await files()
          expect(now).toHaveLength(1)
          expect(before).not.toContain(now[0])
        },
        { timeout: 30_000, interval: 200 },
      )
      expect((await backUp()).shards).toMatchObject([{ shardId: '1' }])
      const words = ['export', '--quiet', '--format', 'lp', '--db', 'd', '--from', place, '-']
      const { stdout } = await snapExpecting(0, words)
      const points = stdout.split('\n').filter((line) => line.startsWith('m '))
      expect(points.sort()).toEqual([1, 3, 4].map((v) => `m v=${v} ${START + v}000000000`))
    } finally {
      await influxd.dispose()
    }
  })
})
