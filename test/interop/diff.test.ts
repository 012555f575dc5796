import { afterAll, beforeAll, expect, it } from 'vitest'
import { snap, snapJson } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

const SECOND = 1_000_000_000n
const WEEK = 7n * 24n * 3600n * SECOND
const JANUARY = 1_767_225_600n * SECOND

interface Row {
  readonly measurement: string
  readonly [count: string]: unknown
}

async function differences(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await snap(['diff', '--json', ...args])
  expect([0, 20], stderr).toContain(code)
  const document = JSON.parse(stdout) as Record<string, unknown>
  expect(document['ok']).toBe(code === 0)
  expect(document['different']).toBe(code === 20)
  return document
}

function rowsOf(document: Record<string, unknown>): readonly Row[] {
  return document['measurements'] as readonly Row[]
}

function row(measurement: string, counts: Partial<Record<string, number>>): Row {
  const none = { equal: 0, added: 0, removed: 0, changed: 0, seriesAdded: 0, seriesRemoved: 0 }
  return { database: 'd', retentionPolicy: 'autogen', measurement, ...none, ...counts }
}

const INDEXES = ['inmem', 'tsi1'] as const

for (const index of INDEXES)
  describeWithInfluxd(`snap diff with ${index}`, () => {
    let server: Influxd
    let target: string
    let first: string
    let second: string

    /** Two weeks of two hosts, and later: a day more, a value changed, a host gone, a measurement born. */
    beforeAll(async () => {
      server = await startInfluxd({ config: { data: { 'index-version': index } } })
      target = await tempDir('diff')
      await server.query('CREATE DATABASE d')
      const line = (host: string, i: number, value = i) =>
        `cpu,host=${host} value=${value},text="t${i}" ${JANUARY + BigInt(i) * 60n * SECOND}`
      const fortnight = Array.from({ length: 40 }, (_, i) => i * 500)
      await server.write(
        ['a', 'b'].flatMap((host) => fortnight.map((i) => line(host, i))),
        { db: 'd' },
      )
      await server.write(
        [`disk,host=a free=1i ${JANUARY}`, `disk,host=a free=2i ${JANUARY + WEEK}`],
        { db: 'd' },
      )
      first = String((await snapJson(['backup', '--host', server.host, target]))['set'])
      await server.write(
        [line('a', 500, -1), line('a', 501), `swap,host=a used=1i ${JANUARY + WEEK}`],
        { db: 'd' },
      )
      await server.query("DELETE FROM cpu WHERE host = 'b'", { db: 'd' })
      second = String((await snapJson(['backup', '--host', server.host, target]))['set'])
    })

    afterAll(async () => {
      await server.stop()
    })

    const CHANGED = [
      row('cpu', { equal: 79, added: 2, removed: 80, changed: 1, seriesRemoved: 1 }),
      row('disk', { equal: 2 }),
      row('swap', { added: 1, seriesAdded: 1 }),
    ]

    it('tells what was added, removed and changed between two sets', async () => {
      const found = await differences([`${target}@${first}`, second])
      expect(rowsOf(found)).toEqual(CHANGED)
      expect(found).toMatchObject({ added: 3, removed: 80, changed: 1, equal: 81, lost: [] })
    })

    it('tells the opposite the other way round', async () => {
      const found = await differences([`${target}@${second}`, first])
      expect(rowsOf(found).find(({ measurement }) => measurement === 'cpu')).toEqual(
        row('cpu', { equal: 79, added: 80, removed: 2, changed: 1, seriesAdded: 1 }),
      )
    })

    it('compares a set with the live server and with the directory', async () => {
      expect(rowsOf(await differences([`${target}@${first}`, '--host', server.host]))).toEqual(
        CHANGED,
      )
      expect(rowsOf(await differences([`${target}@${first}`, server.host]))).toEqual(CHANGED)
      const directory = directoryFlags(server.dirs)
      expect(rowsOf(await differences([`${target}@${first}`, ...directory]))).toEqual(CHANGED)
      const same = await differences([target, ...directory])
      expect(same).toMatchObject({ different: false, added: 0, removed: 0, changed: 0 })
    })

    it('looks only at what was asked for', async () => {
      const args = [`${target}@${first}`, second, '--measurement', 'cpu', '--tag', 'host=a']
      const found = await differences([...args, '--end', '2026-01-01T12:00:00Z'])
      expect(rowsOf(found)).toEqual([row('cpu', { equal: 3, added: 2, changed: 1 })])
      const live = [`${target}@${first}`, server.host, ...args.slice(2)]
      expect(rowsOf(await differences([...live, '--end', '2026-01-01T12:00:00Z']))).toEqual([
        row('cpu', { equal: 3, added: 2, changed: 1 }),
      ])
    })

    it('finds series that are in shards which need no look', async () => {
      const other = await tempDir('diff')
      await snapJson(['backup', '--host', server.host, other])
      await server.write(
        [
          `disk,host=a free=3i ${JANUARY + 2n * WEEK}`,
          `disk,host=z free=3i ${JANUARY + 2n * WEEK}`,
        ],
        { db: 'd' },
      )
      const found = await differences([other, server.host])
      expect(rowsOf(found)).toContainEqual(row('disk', { equal: 2, added: 2, seriesAdded: 1 }))
    })

    it('says in a table what differs, and ends with 20', async () => {
      const { code, stdout, stderr } = await snap(['diff', `${target}@${first}`, second])
      expect(code).toBe(20)
      expect(stdout.split('\n')).toEqual([
        `from set ${first} in ${target}`,
        `  to set ${second} in ${target}`,
        '3 points added, 80 removed, 1 changed, 81 equal',
        'measurement     added  removed  changed  equal  series',
        'd.autogen cpu       2       80        1     79      -1',
        'd.autogen swap      1        0        0      0      +1',
        '',
      ])
      expect(stderr).toContain('3 points added')
    })

    it('says that nothing differs, and ends with 0', async () => {
      const { code, stdout } = await snap(['diff', `${target}@${second}`, second])
      expect([code, stdout]).toEqual([0, expect.stringContaining('no difference in 85 points')])
    })
  })
