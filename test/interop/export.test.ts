import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting, snapJson, startSnap } from '../helpers/cli.ts'
import { parseCsv } from '../helpers/csv.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { identifier, loadOddData, oddData, PLAIN, SPACED } from '../helpers/odd-data.ts'
import { directoryFlags, type Served, startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

/** A day in one shard, its points by the clock. */
const DAY = BigInt(Date.UTC(2020, 0, 1)) * 1_000_000n
const MINUTE = 60_000_000_000n
const at = (clock: string) => {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number)
  return DAY + BigInt(hours * 60 + minutes) * MINUTE
}
const rfc3339 = (time: bigint) => {
  const nanoseconds = String(time % 1_000_000n).padStart(6, '0')
  return new Date(Number(time / 1_000_000n)).toISOString().replace('Z', `${nanoseconds}Z`)
}
const point = (clock: string, value = clock) => `m,s=x v="${value}" ${at(clock)}`
const everySecond = Array.from(
  { length: 4000 },
  (_, index) => `m,s=dense v=${index}i ${at('10:00') + BigInt(index) * 1_000_000_000n}`,
)

interface Case {
  readonly title: string
  /** TSM files of the shard, each with its points. */
  readonly files: readonly (readonly string[])[]
  readonly deletes?: string
  /** Written after that, and still in the cache. */
  readonly last?: readonly string[]
  readonly start: bigint
  readonly end?: bigint
}

/** Each makes `influxd backup -start -end` lose points, add some, or leave what cannot be restored. */
const CASES: readonly Case[] = [
  {
    title: 'a start without an end',
    files: [[point('00:10'), point('08:00'), point('23:00')]],
    start: at('06:00'),
  },
  {
    title: 'a file around the range with nothing in it',
    files: [[point('00:10'), point('23:00')], [point('12:00')]],
    start: at('11:00'),
    end: at('13:00'),
  },
  {
    title: 'a shard with a tombstone',
    files: [[point('01:00'), point('02:00'), point('03:00'), point('04:00')]],
    deletes: `DELETE FROM m WHERE time >= ${at('02:00')} AND time <= ${at('03:00')}`,
    last: [point('03:00', 'written again')],
    start: at('01:30'),
    end: at('03:30'),
  },
  {
    title: 'a range of exactly a file',
    files: [[point('01:00'), point('02:00')]],
    start: at('01:00'),
    end: at('02:00'),
  },
  {
    title: 'edges inside of blocks',
    files: [everySecond],
    start: at('10:20') + 1n,
    end: at('10:40') - 1n,
  },
]

describeWithInfluxd('an export bounded in time', () => {
  let source: Influxd
  let target: Influxd
  let served: Served
  let set: string

  beforeAll(async () => {
    source = await startInfluxd()
    target = await startInfluxd()
    for (const [index, { files, deletes }] of CASES.entries()) {
      const db = `case ${index}`
      await source.query(`CREATE DATABASE "${db}"`)
      for (const lines of files) {
        await source.flush()
        await source.write(lines, { db })
      }
      await source.flush()
      if (deletes !== undefined) await source.query(deletes, { db })
    }
    for (const [index, { last = [] }] of CASES.entries()) {
      if (last.length > 0) await source.write(last, { db: `case ${index}` })
    }
    served = await startServe(directoryFlags(source.dirs))
    set = await tempDir('set')
    await snapExpecting(0, ['backup', ...directoryFlags(source.dirs), set])
  })
  afterAll(async () => {
    await served?.stop()
    await source?.dispose()
    await target?.dispose()
  })

  /** What a query answers, row by row as in CSV. */
  const expected = async (db: string, { start, end }: Case) => {
    const rows = (await dumpAll(source, { db, series: false })).map((line) => JSON.parse(line))
    const inside = rows.filter(([, , , , , , time]) => {
      return BigInt(time) >= start && (end === undefined || BigInt(time) <= end)
    })
    expect(inside.length).toBeGreaterThan(0)
    return inside.map((row) => JSON.stringify(row)).sort()
  }
  const rowsOf = (csv: string) => {
    const [, ...rows] = parseCsv(csv)
    return rows.map((row) => JSON.stringify(row)).sort()
  }
  const range = ({ start, end }: Case) => [
    ...['--start', rfc3339(start)],
    ...(end === undefined ? [] : ['--end', rfc3339(end)]),
  ]

  it.each(CASES.map((entry, index) => ({ ...entry, index })))('$title', async (entry) => {
    const db = `case ${entry.index}`
    const wish = ['--db', db, ...range(entry)]
    const right = await expected(db, entry)
    const places: Record<string, string[]> = {
      influxd: ['--host', source.host],
      'snap serve': ['--host', served.host],
      'a data directory': directoryFlags(source.dirs),
      'a backup': ['--from', set],
    }
    for (const [name, place] of Object.entries(places)) {
      const { stdout } = await snapExpecting(0, [
        'export',
        '--format',
        'csv',
        ...place,
        ...wish,
        '-',
      ])
      expect(rowsOf(stdout), name).toEqual(right)
      const dir = await tempDir('range')
      const exported = await snapJson(['export', ...place, ...wish, dir])
      expect(exported, name).toMatchObject({ format: 'portable', exact: true })
      const again = ['export', '--from', dir, '--format', 'csv', '-']
      expect(rowsOf((await snapExpecting(0, again)).stdout), `a set from ${name}`).toEqual(right)
    }

    const stock = await tempDir('stock')
    const words = wish.map((word) => word.replace(/^--/, '-'))
    const backup = await stockBackup(['-portable', '-host', source.host, ...words, stock])
    expect(backup, 'influxd sees no failure').toMatchObject({ code: 0 })
    await stockRestore(['-portable', '-host', target.host, '-db', db, stock])
    await target.settled()
    const restored = await dumpAll(target, { db, series: false })
    expect(restored.sort(), 'influxd itself').not.toEqual(right)
  })
})

describeWithInfluxd('an export of odd data', () => {
  let source: Influxd
  let served: Served
  /** The places where all of it is, each with the flags that name it. */
  const places = new Map<string, readonly string[]>()

  beforeAll(async () => {
    source = await startInfluxd()
    await loadOddData(source)
    await source.query(`DELETE FROM "times" WHERE time = 0`, { db: SPACED })
    await source.query(`DELETE FROM "dense" WHERE "step" = 'odd' AND time < 1500000600000000000`, {
      db: PLAIN,
    })
    await source.write('times i=77i 0', { db: SPACED })
    served = await startServe(directoryFlags(source.dirs))
    const dir = { snap: await tempDir('snap'), stock: await tempDir('stock') }
    await snapExpecting(0, ['backup', '--host', served.host, dir.snap])
    places.set('a data directory', directoryFlags(source.dirs))
    places.set('a backup by snap', ['--from', dir.snap])
    places.set('snap serve', ['--host', served.host])
    places.set('influxd', ['--host', source.host])
    expect(await stockBackup(['-portable', '-host', source.host, dir.stock])).toMatchObject({
      code: 0,
    })
    places.set('a backup by influxd', ['--from', dir.stock])
  })
  afterAll(async () => {
    await served?.stop()
    await source?.dispose()
  })

  const textOf = async (...args: string[]) =>
    (await snapExpecting(0, ['export', ...args, '-'])).stdout

  it('goes through line protocol into another influxd without a loss', async () => {
    const dir = await tempDir('lp')
    const [, place = []] = [...places][0] ?? []
    await snapExpecting(0, ['export', '--format', 'lp', ...place, `${dir}/`])
    const target = await startInfluxd()
    for (const { database, name, create } of oddData()) {
      const db = identifier(database)
      await target.query(`CREATE DATABASE ${db}`)
      if (create === undefined) continue
      await target.query(`CREATE RETENTION POLICY ${identifier(name)} ON ${db} ${create}`)
    }
    for (const file of await readdir(dir)) {
      const text = await readFile(join(dir, file), 'utf8')
      const [, db = ''] = /^# CONTEXT-DATABASE:(.*)$/m.exec(text) ?? []
      const [, rp = ''] = /^# CONTEXT-RETENTION-POLICY:(.*)$/m.exec(text) ?? []
      await target.write(text, { db, rp })
    }
    expect(await dumpAll(target)).toEqual(await dumpAll(source))
    await target.dispose()
  })

  it('is the same from everywhere, in line protocol and CSV', async () => {
    for (const format of ['lp', 'csv']) {
      const texts = new Map<string, string>()
      for (const [name, place] of places) {
        texts.set(name, await textOf('--format', format, ...place))
      }
      const [first = '', ...others] = texts.values()
      expect(first.length).toBeGreaterThan(100_000)
      for (const [index, text] of others.entries()) {
        expect(text === first, [...texts.keys()][index + 1]).toBe(true)
      }
    }
  })

  it('is read from a legacy directory', async () => {
    const dir = await tempDir('legacy')
    expect(await stockBackup(['-host', source.host, '-db', PLAIN, dir])).toMatchObject({ code: 0 })
    const wish = ['--format', 'csv', '--db', PLAIN]
    const legacy = await textOf(...wish, '--from', dir)
    expect(legacy === (await textOf(...wish, '--host', source.host))).toBe(true)
    const set = await tempDir('set')
    await snapExpecting(0, ['export', '--from', dir, '--db', PLAIN, set])
    expect(legacy === (await textOf(...wish, '--from', set))).toBe(true)
  })

  it('becomes rows of Parquet', async () => {
    const dir = await tempDir('parquet')
    const wish = ['--format', 'parquet', '--db', PLAIN, '--measurement', 'dense']
    for (const [name, place] of places) {
      const path = join(dir, `${name.replaceAll(' ', '-')}.parquet`)
      await snapExpecting(0, ['export', ...wish, ...place, path])
      const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path) })
      const [count] = await source.query('SELECT count("value") FROM "autogen"."dense"', {
        db: PLAIN,
      })
      expect(rows).toHaveLength(Number(count?.values?.[0]?.[1]))
      const integers = await source.queryCsv('SELECT "total" FROM "autogen"."dense"', { db: PLAIN })
      const totals = parseCsv(integers)
        .slice(1)
        .map((row) => row.at(-1) ?? '')
      const found = rows.map(({ total }) => String(total))
      expect(found.sort()).toEqual(totals.sort())
      expect(rows[0]).toMatchObject({ step: 'even', state: 'state 0', flag: true })
    }
  })

  it('ends quietly when its reader has had enough', async () => {
    const [, place = []] = [...places][0] ?? []
    const running = startSnap(['export', '--format', 'csv', ...place, '-'])
    running.child.stdout?.once('data', () => running.child.stdout?.destroy())
    const { code, stderr } = await running.finished
    expect(code).toBe(15)
    expect(stderr).not.toContain('error')
  })

  it('leaves nothing behind when it is interrupted', async () => {
    const dir = await tempDir('interrupted')
    const [, place = []] = [...places][0] ?? []
    const running = startSnap(['export', '--format', 'lp', ...place, `${dir}/made/`])
    await running.until(/\[1\/\d+\]/)
    running.kill('SIGINT')
    const { code } = await running.finished
    expect([0, 130]).toContain(code)
    if (code === 130) expect(await readdir(dir)).toEqual([])
  })
})
