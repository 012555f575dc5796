import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { directoryFlags, startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

/** A day in one shard, its points by the clock. */
const DAY = Date.UTC(2020, 0, 1)
const at = (clock: string) => {
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number)
  return BigInt(DAY + ((hours * 60 + minutes) * 60 + seconds) * 1000) * 1_000_000n
}
const rfc3339 = (time: bigint) =>
  new Date(Number(time / 1_000_000n))
    .toISOString()
    .replace('Z', `${String(time % 1_000_000n).padStart(6, '0')}Z`)

interface Case {
  readonly title: string
  /** Files of the shard, each with its points; the last is followed by no flush. */
  readonly files: readonly (readonly string[])[]
  readonly deletes?: string
  readonly start?: bigint
  readonly end?: bigint
}

const point = (clock: string) => `m,s=x v="${clock}" ${at(clock)}`
const everySecond = Array.from(
  { length: 7200 },
  (_, index) => `m,s=dense v=${index}i ${at('10:00') + BigInt(index) * 1_000_000_000n}`,
)

/** Each of these loses or adds points, or fails, when `influxd backup` asks for it. */
const CASES: readonly Case[] = [
  {
    title: 'a start alone means until the end of time',
    files: [[point('00:10'), point('08:00'), point('23:00')]],
    start: at('06:00'),
  },
  {
    title: 'an end alone means from the beginning of time',
    files: [[point('00:10'), point('08:00'), point('23:00')]],
    end: at('08:00'),
  },
  {
    title: 'a file around the range with nothing inside does not end the export',
    files: [[point('00:10'), point('23:00')], [point('12:00')]],
    start: at('11:00'),
    end: at('13:00'),
  },
  {
    title: 'a shard with a tombstone can be exported, and the deleted points stay away',
    files: [[point('01:00'), point('02:00'), point('03:00'), point('04:00')]],
    deletes: `DELETE FROM m WHERE time = ${at('02:00')}`,
    start: at('01:30'),
    end: at('03:30'),
  },
  {
    title: 'a range of exactly the file gives each point once',
    files: [[point('01:00'), point('02:00')]],
    start: at('01:00'),
    end: at('02:00'),
  },
  {
    title: 'a block that reaches out of the range is cut to the nanosecond',
    files: [everySecond],
    start: at('10:30') + 1n,
    end: at('11:00') - 1n,
  },
  {
    title: 'one nanosecond is a range',
    files: [everySecond],
    start: at('10:30'),
    end: at('10:30'),
  },
]

describeWithInfluxd('a backup bounded in time', () => {
  let source: Influxd
  let target: Influxd

  beforeAll(async () => {
    source = await startInfluxd()
    target = await startInfluxd()
    for (const [index, { files, deletes }] of CASES.entries()) {
      await source.query(`CREATE DATABASE "case ${index}"`)
      for (const lines of files) {
        await source.flush()
        await source.write(lines, { db: `case ${index}` })
      }
      await source.flush()
      if (deletes !== undefined) await source.query(deletes, { db: `case ${index}` })
    }
  })
  afterAll(async () => {
    await source?.dispose()
    await target?.dispose()
  })

  const range = ({ start, end }: Case) => [
    ...(start === undefined ? [] : ['--start', rfc3339(start)]),
    ...(end === undefined ? [] : ['--end', rfc3339(end)]),
  ]
  const expected = async (index: number, { start, end }: Case) => {
    const lines = await dumpAll(source, { db: `case ${index}`, series: false })
    const inside = lines.filter((line) => {
      const time = BigInt(JSON.parse(line)[6])
      return (start === undefined || time >= start) && (end === undefined || time <= end)
    })
    expect(inside.length).toBeGreaterThan(0)
    expect(inside.length).toBeLessThanOrEqual(lines.length)
    return inside
  }

  it.each(CASES.map((entry, index) => ({ ...entry, index })))(
    'from influxd: $title',
    async (entry) => {
      const db = `case ${entry.index}`
      const dir = await tempDir('exact')
      // With its HTTP API, whose figures are of whole shards.
      const from = ['--host', source.host, '--http', source.httpUrl]
      await snapExpecting(0, ['backup', ...from, '--db', db, ...range(entry), dir])
      const restore = await stockRestore([
        '-portable',
        '-host',
        target.host,
        '-db',
        db,
        '-newdb',
        `influxd ${db}`,
        dir,
      ])
      expect(restore, restore.stderr).toMatchObject({ code: 0 })
      await target.settled()
      const restored = await dumpAll(target, { db: `influxd ${db}`, dbAs: db, series: false })
      expect(restored).toEqual(await expected(entry.index, entry))
    },
  )

  it('from snap serve, asked by influxd and by snap', async () => {
    await source.flush()
    const expectations = await Promise.all(CASES.map((entry, index) => expected(index, entry)))
    await source.stop()
    const served = await startServe(directoryFlags(source.dirs))
    for (const [index, entry] of CASES.entries()) {
      const db = `case ${index}`
      const flags = ['--host', served.host, '--db', db]
      const by = [{ name: 'snap', dir: await tempDir('snap') }]
      await snapExpecting(0, ['backup', ...flags, ...range(entry), by[0]?.dir ?? ''])
      // influxd refuses an end without a start and an end that is the start; without an end it sends Go's zero time.
      const start = entry.start ?? at('00:00')
      if (start !== entry.end) {
        const dir = await tempDir('influxd')
        const args = ['-portable', ...flags, ...range({ ...entry, start }), dir]
        const backup = await stockBackup(args)
        expect(backup, backup.stderr).toMatchObject({ code: 0 })
        by.push({ name: 'influxd', dir })
      }
      for (const { name, dir } of by) {
        const newdb = `${name} of ${db}`
        await snapExpecting(0, [
          'restore',
          '--host',
          target.host,
          '--db',
          db,
          '--newdb',
          newdb,
          dir,
        ])
        const restored = await dumpAll(target, { db: newdb, dbAs: db, series: false })
        expect(restored, `${entry.title}, asked by ${name}`).toEqual(expectations[index])
      }
    }
    await served.stop()
    await source.start()
  })

  it('leaves out shards outside the range, and says when there is nothing', async () => {
    const dir = await tempDir('nothing')
    const far = ['--start', '2030-01-01T00:00:00Z', '--end', '2030-02-01T00:00:00Z']
    await snapExpecting(16, ['backup', '--host', source.host, ...far, dir])
  })
})
