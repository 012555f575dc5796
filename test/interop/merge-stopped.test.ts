import { afterAll, beforeAll, expect, it } from 'vitest'
import { snap, snapExpecting, snapJson } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'

const SECOND = 1_000_000_000n
const STEP = 10n * SECOND
const DAY = 24n * 3600n * SECOND
const WEEK = 7n * DAY
/** The first nanosecond of a day in the midst of a week of shards, long gone. */
const OLD = 1_700_092_800n * SECOND
const NOW = BigInt(Date.now()) * 1_000_000n
/** Yesterday's first nanosecond: what follows it is in one shard, whatever the hour and weekday. */
const RECENT = NOW - (NOW % DAY) - DAY

/** Values by series, field and time, as line protocol says them. */
type Points = ReadonlyMap<string, string>

function pointsOf(
  series: string,
  from: bigint,
  count: number,
  value: (i: number) => string,
): Points {
  const fields = (i: number) => value(i).split('=')
  return new Map(
    Array.from({ length: count }, (_, i) => {
      const [field = '', text = ''] = fields(i)
      return [[series, field, from + BigInt(i) * STEP].join(' '), text]
    }),
  )
}

/** All points, the later ones winning. */
function union(...all: readonly Points[]): Map<string, string> {
  return new Map(all.flatMap((points) => [...points]))
}

function linesOf(points: Points): string[] {
  return [...points].map(([name, value]) => {
    const [series, field, time] = name.split(' ')
    return `${series} ${field}=${value} ${time}`
  })
}

const rowOf = (name: string) => name.replace(/ .* /, ' ')

const BACKUP = union(
  pointsOf('cpu,host=a', OLD, 3000, (i) => `value=${i}`),
  pointsOf('cpu,host=a', OLD, 5, (i) => `other=${i}i`),
  pointsOf('cpu,host=new', OLD, 500, (i) => `value=${i / 4}`),
  pointsOf('mem,host=a', OLD, 20, (i) => `text="a \\"${i}\\""`),
  pointsOf('mem,host=a', OLD, 20, (i) => `ok=${i % 2 === 0}`),
  pointsOf('cpu,host=a', OLD + WEEK, 100, (i) => `value=${-i}`),
  pointsOf('cpu,host=a', OLD + 9n * WEEK, 3, (i) => `value=${i}`),
  pointsOf('cpu,host=a', RECENT, 100, (i) => `value=${i}`),
)
/** What the live database has in files, in the order in which they were written, and in its WAL. */
const FIRST = union(
  pointsOf('cpu,host=a', OLD, 1200, (i) => `value=${i}.5`),
  pointsOf('cpu,host=own', OLD, 400, (i) => `value=${i}`),
)
const SECOND_FILE = pointsOf('cpu,host=a', OLD + 500n * STEP, 1000, (i) => `value=${i + 500}`)
const THIRD_FILE = pointsOf('cpu,host=a', OLD + 900n * STEP, 900, (i) => `value=${i}.25`)
const DELETED = { from: OLD + 200n * STEP, to: OLD + 300n * STEP }
const IN_WAL = union(
  pointsOf('cpu,host=a', OLD + 1700n * STEP, 200, (i) => `value=-${i}.125`),
  pointsOf('cpu,host=wal', OLD, 10, (i) => `value=${i}`),
  pointsOf('cpu,host=a', OLD, 2, (i) => `other=${i + 7}i`),
  pointsOf('cpu,host=a', OLD, 3, (i) => `extra=${i}`),
)
const DELETED_IN_WAL = OLD + 5n * STEP
const LIVE: Points = new Map(
  [...union(FIRST, SECOND_FILE, THIRD_FILE)]
    .filter(([name]) => {
      const time = BigInt(name.split(' ')[2] ?? '')
      return time < DELETED.from || time >= DELETED.to
    })
    .concat([...IN_WAL])
    .filter(([name]) => !(name.startsWith('cpu,host=wal') && name.endsWith(`${DELETED_IN_WAL}`))),
)
const ROWS = new Set([...LIVE.keys()].map(rowOf))
const GAPS: Points = new Map([...BACKUP].filter(([name]) => !ROWS.has(rowOf(name))))

const RULES: readonly (readonly [rule: string, expected: Points])[] = [
  ['live', union(BACKUP, LIVE)],
  ['fill-gaps', union(GAPS, LIVE)],
  ['backup', union(LIVE, BACKUP)],
]

async function makeLive(server: Influxd, db: string): Promise<void> {
  await server.query(`CREATE DATABASE "${db}"`)
  for (const points of [FIRST, SECOND_FILE, THIRD_FILE]) {
    await server.write(linesOf(points), { db })
    await server.flush()
  }
  const { from, to } = DELETED
  await server.query(`DELETE FROM cpu WHERE time >= ${from} AND time < ${to}`, { db })
  await server.write(linesOf(IN_WAL), { db })
  await server.query(`DELETE FROM cpu WHERE host = 'wal' AND time = ${DELETED_IN_WAL}`, { db })
}

for (const indexVersion of ['inmem', 'tsi1'] as const) {
  describeWithInfluxd(
    `snap restore --merge into the directories of a stopped ${indexVersion}`,
    () => {
      let server: Influxd
      let set: string
      const results = new Map<string, object>()

      const merge = (...words: string[]) =>
        snapJson(['restore', '--merge', ...flags(), '--db', 'source', ...words, set])
      const flags = () => [
        ...['--data-dir', server.dirs.data, '--wal-dir', server.dirs.wal],
        ...['--meta-dir', server.dirs.meta, '--influxd-is-stopped'],
      ]
      const contentsOf = (db: string) => dumpAll(server, { db, dbAs: 'x', series: false })

      beforeAll(async () => {
        server = await startInfluxd({ indexVersion })
        await server.query('CREATE DATABASE source')
        await server.write(linesOf(BACKUP), { db: 'source' })
        for (const [rule, expected] of RULES) {
          await makeLive(server, rule)
          await server.query(`CREATE DATABASE "wanted ${rule}"`)
          await server.write(linesOf(expected), { db: `wanted ${rule}` })
        }
        await server.query('CREATE DATABASE days WITH SHARD DURATION 1d')
        await server.query('CREATE DATABASE mixed')
        await server.write(linesOf(pointsOf('cpu,host=own', OLD, 3, () => 'value=1')), {
          db: 'mixed',
        })
        await server.query('ALTER RETENTION POLICY autogen ON mixed SHARD DURATION 30h')
        await server.write(`cpu,host=own value=1 ${OLD + WEEK + 2n * DAY}`, { db: 'mixed' })
        await server.query('CREATE DATABASE typed')
        await server.write(`cpu,host=q value="text" ${OLD}`, { db: 'typed' })
        await server.stop()
        set = await tempDir('set')
        await snapJson(['backup', ...flags().slice(0, -1), '--db', 'source', set])
        for (const [rule] of RULES) {
          results.set(
            `planned ${rule}`,
            await merge('--newdb', rule, '--on-conflict', rule, '--dry-run'),
          )
          results.set(rule, await merge('--newdb', rule, '--on-conflict', rule))
        }
        for (const db of ['days', 'mixed']) results.set(db, await merge('--newdb', db))
        const before = await treeOf(server.root)
        const refused = await snap(['restore', '--merge', ...flags(), '--newdb', 'typed', set])
        expect([refused.code, refused.stderr]).toEqual([
          15,
          expect.stringContaining(
            'field type conflict: value is string there, and float in the backup',
          ),
        ])
        expect(shardFiles(await treeOf(server.root))).toEqual(shardFiles(before))
        await server.start()
      })

      afterAll(async () => {
        await server.dispose()
      })

      it.each(RULES)('has every point where %s wins', async (rule) => {
        expect(await contentsOf(rule)).toEqual(await contentsOf(`wanted ${rule}`))
      })

      it('counts what is new, equal and conflicting, before and after', async () => {
        const compared = [...BACKUP].filter(([name]) => LIVE.has(name))
        const equal = compared.filter(([name, value]) => LIVE.get(name) === value).length
        const added = BACKUP.size - compared.length
        const counts = { equal, added, conflicting: compared.length - equal }
        for (const rule of ['live', 'backup']) {
          expect(results.get(rule)).toMatchObject({ ...counts, dryRun: false })
          expect(results.get(`planned ${rule}`)).toMatchObject({ ...counts, dryRun: true })
        }
        const gaps = { equal, added: GAPS.size, conflicting: BACKUP.size - equal - GAPS.size }
        expect(results.get('fill-gaps')).toMatchObject(gaps)
      })

      it('makes shard groups of the length that the policy says, none over another', async () => {
        for (const db of ['days', 'mixed']) {
          expect(results.get(db)).toMatchObject({ added: BACKUP.size, conflicting: 0 })
          const found = await contentsOf(db)
          const own = found.filter((line) => line.includes('host=own'))
          expect(own).toHaveLength(db === 'days' ? 0 : 4)
          expect(found.filter((line) => !own.includes(line))).toEqual(await contentsOf('source'))
          const bounds = `time >= ${OLD + WEEK} AND time < ${OLD + WEEK + 50n * STEP}`
          const [count] = await server.query(`SELECT count(value) FROM cpu WHERE ${bounds}`, { db })
          expect(count?.values?.[0]?.[1]).toBe(50)
        }
        const shards = await server.query('SHOW SHARDS')
        const boundsOf = (db: string) => {
          const { columns = [], values = [] } = shards.find(({ name }) => name === db) ?? {}
          const at = ['start_time', 'end_time'].map((name) => columns.indexOf(name))
          return values.map((row) => at.map((i) => row[i])).sort()
        }
        expect(boundsOf('live')).toEqual(boundsOf('source'))
        expect(boundsOf('source')).toHaveLength(4)
        for (const { columns, values = [] } of shards) {
          const at = (name: string) => columns.indexOf(name)
          const groups = values.map((row) =>
            [row[at('start_time')], row[at('end_time')]].map(String),
          )
          for (const [i, [start = '']] of groups.entries()) {
            expect(start >= (groups[i - 1]?.[1] ?? '')).toBe(true)
          }
        }
      })

      it('takes writes to what was merged, which win, also after it was started again', async () => {
        const late = `cpu,host=a value=4711 ${OLD + 100n * STEP}`
        for (const [rule] of RULES) await server.write(late, { db: rule })
        await server.flush()
        await server.restart()
        for (const [rule, expected] of RULES) {
          await server.write(late, { db: `wanted ${rule}` })
          expect(await contentsOf(rule)).toEqual(await contentsOf(`wanted ${rule}`))
          const query = `SELECT count(value) FROM cpu WHERE host = 'new'`
          const [count] = await server.query(query, { db: rule })
          expect(count?.values?.[0]?.[1]).toBe(
            [...expected.keys()].filter((name) => name.includes('=new')).length,
          )
        }
      })

      it('finds nothing to do when it is run again, and refuses while influxd runs', async () => {
        const words = ['restore', '--merge', ...flags().slice(0, -1), '--db', 'source', set]
        const { code, stderr } = await snap([...words, '--newdb', 'live', '--tag', 'host=new'])
        expect([code, stderr]).toEqual([15, expect.stringContaining('in use')])
        const counted = ['--newdb', 'backup', '--tag', 'host=new', '--dry-run', '--json']
        const { stdout } = await snapExpecting(0, [...words, ...counted])
        expect(JSON.parse(stdout)).toMatchObject({ added: 0, equal: 500, conflicting: 0 })
      })
    },
  )
}

function shardFiles(tree: Awaited<ReturnType<typeof treeOf>>): object {
  return Object.fromEntries(
    Object.entries(tree).filter(([path]) => /\.(tsm|wal|tombstone)$/.test(path)),
  )
}
