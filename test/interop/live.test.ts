import { basename } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'

const SERIES = ['a', 'b', 'c'] as const
/** 2017-07-14T02:00:00Z, the begin of an hour and so of a shard. */
const START = 1_499_997_600_000_000_000n
const HOUR = 3_600_000_000_000n
/** So much time between the points of a series that a few seconds of writing reach several shards. */
const STEP = HOUR / 20_000n
const BATCH = 200
const BACKUPS = process.env.SLOW === '1' ? 12 : 4

/** Writes `seq=0, 1, 2 ...` to every series as fast as the server takes it, and knows what was acknowledged. */
class Writer {
  acknowledged = 0
  readonly #server: Influxd
  #running = true
  #done: Promise<void> = Promise.resolve()

  constructor(server: Influxd) {
    this.#server = server
  }

  start(): void {
    this.#done = this.#pour()
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #pour(): Promise<void> {
    while (this.#running) {
      const first = this.acknowledged
      const lines = Array.from({ length: BATCH }, (_, index) => first + index).flatMap((seq) =>
        SERIES.map((s) => `m,s=${s} seq=${seq}i,text="${s} ${seq}" ${START + BigInt(seq) * STEP}`),
      )
      await this.#server.write(lines, { db: 'live', rp: 'hourly' })
      this.acknowledged += BATCH
    }
  }
}

describeWithInfluxd('a backup from the directories of an influxd that is written to', () => {
  let source: Influxd
  let target: Influxd
  let writer: Writer

  beforeAll(async () => {
    // Everything happens often: cache snapshots after little data, compactions of few files.
    const config = {
      data: {
        'cache-snapshot-memory-size': '512k',
        'cache-snapshot-write-cold-duration': '1s',
        'compact-full-write-cold-duration': '2s',
      },
    }
    source = await startInfluxd({ config })
    target = await startInfluxd()
    const policy = 'DURATION INF REPLICATION 1 SHARD DURATION 1h DEFAULT'
    await source.query(`CREATE DATABASE live; CREATE RETENTION POLICY hourly ON live ${policy}`)
    writer = new Writer(source)
    writer.start()
  })
  afterAll(async () => {
    await writer?.stop()
    await source?.dispose()
    await target?.dispose()
  })

  it('holds a gap-free beginning of every shard, up to all that was acknowledged', async () => {
    const sets: { dir: string; acknowledged: number }[] = []
    for (let index = 0; index < BACKUPS; index += 1) {
      await expect
        .poll(() => writer.acknowledged, { timeout: 20_000 })
        .toBeGreaterThan((index + 1) * 5000)
      const { acknowledged } = writer
      const dir = await tempDir('live')
      await snapExpecting(0, ['backup', ...directoryFlags(source.dirs), dir])
      sets.push({ dir, acknowledged })
    }
    await writer.stop()
    for (const [index, { dir, acknowledged }] of sets.entries()) {
      const newdb = `set ${index}`
      const flags = ['--db', 'live', '--newdb', newdb]
      await snapExpecting(0, ['restore', '--host', target.host, ...flags, dir])
      for (const s of SERIES) await check(target, { db: newdb, s, acknowledged })
    }
  }, 180_000)

  it('leaves nothing of its own behind and the influxd as it was', async () => {
    const own =
      /^(?:\d{9}-\d{9}\.(?:tsm|tombstone)(?:\.tmp)?|fields\.idx|_\d{5}\.wal|\d{4}|meta\.db)$/
    for (const dir of Object.values(source.dirs)) {
      const foreign = (await filesOf(dir)).filter((path) => !own.test(basename(path)))
      expect(foreign).toEqual([])
    }
    const [series] = await source.query('SELECT count(seq) FROM hourly.m', { db: 'live' })
    expect(series?.values?.[0]?.[1]).toBe(writer.acknowledged * SERIES.length)
    expect(source.log()).not.toMatch(/lvl=error/)
  })
})

/** A shard was taken at one moment, each at its own: within a shard there is no gap, and nothing acknowledged before is missing. */
async function check(
  server: Influxd,
  { db, s, acknowledged }: { db: string; s: string; acknowledged: number },
): Promise<void> {
  const [series] = await server.query(`SELECT seq, text FROM hourly.m WHERE s = '${s}'`, { db })
  const perShard = new Map<bigint, number[]>()
  for (const [, seq, text] of series?.values ?? []) {
    expect(text).toBe(`${s} ${seq}`)
    const shard = (BigInt(Number(seq)) * STEP) / HOUR
    const found = perShard.get(shard) ?? []
    found.push(Number(seq))
    perShard.set(shard, found)
  }
  const pointsPerShard = Number(HOUR / STEP)
  for (let shard = 0; shard * pointsPerShard < acknowledged; shard += 1) {
    const found = perShard.get(BigInt(shard)) ?? []
    const first = shard * pointsPerShard
    expect(found, `shard ${shard}`).toEqual(found.map((_, index) => first + index))
    const least = Math.min(acknowledged - first, pointsPerShard)
    expect(found.length, `points of shard ${shard}`).toBeGreaterThanOrEqual(least)
  }
}
