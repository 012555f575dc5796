import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { contextOf } from '../cli/harness.ts'
import { finish, snapEnding } from '../faults/snap.ts'
import { type DirectorySpec, HOUR, makeDirectory } from '../helpers/data-directory.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { tsmBytes } from '../tsm/files.ts'
import { writeEntry } from '../wal/encode.ts'
import { count, expectPlaces, killAt, tryAll } from './crash.ts'
import { expectNothingLeft, flagsOf } from './directories.ts'

const SLOW = process.env['SLOW'] === '1'
const TIMEOUT = 1_800_000

/** The values of points are their times. */
const BACKUP: DirectorySpec = {
  telegraf: {
    autogen: {
      shards: [
        {
          id: 1,
          hour: 0,
          files: [{ 'cpu,host=a': [1, 2, 3, 4, 6], mem: [1, 5] }],
          wal: { disk: [3] },
        },
        { id: 2, hour: 1, files: [{ mem: [HOUR, HOUR + 2] }] },
        { id: 3, hour: 3, files: [{ mem: [3 * HOUR] }] },
      ],
    },
  },
}
const LIVE: DirectorySpec = {
  telegraf: {
    autogen: {
      shards: [
        {
          id: 7,
          hour: 0,
          files: [{ 'cpu,host=a': [2, 3], own: [1, 2] }, { own: [3] }],
          deleted: { series: 'own', from: 2, to: 2 },
        },
        { id: 8, hour: 1, files: [{ mem: [HOUR + 1] }], wal: { mem: [HOUR + 3] } },
      ],
    },
  },
  other: { autogen: { shards: [{ id: 9, hour: 0, files: [{ mem: [7] }] }] } },
}
const CPU = 'cpu,host=a#!~#value'

/** Makes live directories where shard 7 has other values than the backup, in a file and in the WAL, and an index. */
async function makeLive(): Promise<string> {
  const { root } = await makeDirectory(LIVE)
  const [data, wal] = ['data', 'wal'].map((name) => join(root, name, 'telegraf/autogen/7'))
  const times = BigInt64Array.from([1n, 3n])
  const block = { type: 'float' as const, times, values: Float64Array.from([-1, -3]) }
  await writeFile(join(`${data}`, '000000009-000000001.tsm'), await tsmBytes([[CPU, [block]]]))
  const points = [[4n, -4] as const, [9n, -9] as const]
  await writeFile(join(`${wal}`, '_00001.wal'), writeEntry({ type: 'float', key: CPU, points }))
  const later = writeEntry({ type: 'float', key: CPU, points: [[4n, -44]] })
  await writeFile(join(`${wal}`, '_00002.wal'), later)
  await mkdir(join(`${data}`, 'index/0'), { recursive: true })
  for (const name of ['fields.idx', 'index/0/L0-00000001.tsl']) {
    await writeFile(join(`${data}`, name), 'old')
  }
  return root
}

/** All points with their values, by what is before the value and after it. */
async function pointsIn(root: string): Promise<Map<string, string>> {
  const words = ['export', '--data-dir', join(root, 'data'), '--format', 'lp', '-']
  const { stdout } = await snapEnding(0, ...words)
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const [, series = '', value = '', time = ''] = /^(.*)=(.*) (\d+)$/.exec(line) ?? []
      return [`${series} ${time}`, value]
    }),
  )
}

const mergeInto = (root: string, set: string) => [
  ...['restore', '--merge', '--on-conflict', 'backup', '--jobs', '1', '--index-version', 'tsi1'],
  ...['--influxd-is-stopped', ...flagsOf(root), set],
]

describe('a merge into directories that is killed', () => {
  let set: string
  let stored: ReadonlyMap<string, string>

  beforeAll(async () => {
    const source = await makeDirectory(BACKUP)
    set = await tempDir('set')
    await snapEnding(0, 'backup', ...source.flags, set)
    stored = await pointsIn(source.root)
  })

  it('loses nothing, and is completed by the next one', { timeout: TIMEOUT }, async () => {
    const counted = await makeLive()
    const live = await pointsIn(counted)
    expect(live.get('cpu,host=a value 4')).toBe('-44')
    const all = await count(mergeInto(counted, set))
    await expectPlaces('restore --merge into directories', all)
    // What is done with locks and the metastore is that of other matrices.
    const points = SLOW ? all : all.filter(({ path }) => path.includes('/telegraf/'))
    const wanted = new Map([...live, ...stored])
    expect(await pointsIn(counted)).toEqual(wanted)
    await tryAll('restore --merge into directories', { points, more: 1 }, async (point) => {
      const root = await makeLive()
      await killAt(point, mergeInto(root, set))
      const left = await pointsIn(root)
      for (const [name, value] of live) expect([value, stored.get(name)]).toContain(left.get(name))
      for (const name of left.keys()) expect(wanted.has(name), name).toBe(true)
      const { code, stderr } = await finish(contextOf(mergeInto(root, set)))
      expect(code, stderr).toBe(0)
      expect(await pointsIn(root)).toEqual(wanted)
      await expectNothingLeft(root)
    })
  })
})

describeWithInfluxd('directories of a merge that was killed', () => {
  it.each(['inmem', 'tsi1'] as const)(
    'are opened by influxd (%s)',
    { timeout: TIMEOUT },
    async (indexVersion) => {
      const set = await tempDir('set')
      const server = await startInfluxd({ indexVersion, dir: await tempDir('live') })
      await server.query('CREATE DATABASE d')
      const backup = [
        'm,t=a v=1 1',
        'm,t=b v=2 2',
        'm,t=a v=3 3',
        'n x=1i 1',
        'm,t=a v=3 700000000000000',
      ]
      await server.write(backup, { db: 'd' })
      await snapEnding(0, 'backup', '--host', server.host, set)
      await server.query('DROP DATABASE d')
      await server.query('CREATE DATABASE d')
      await server.write(['m,t=a v=-1 1', 'm,t=own v=1 1'], { db: 'd' })
      await server.flush()
      await server.write(['m,t=a v=-3 3', 'own v=1 1'], { db: 'd' })
      await server.query('CREATE DATABASE wanted')
      await server.write([...backup, 'm,t=own v=1 1', 'own v=1 1'], { db: 'wanted' })
      const wanted = await dumpAll(server, { db: 'wanted', dbAs: 'd' })
      await server.stop()
      const copy = async () => {
        const root = await tempDir('target')
        await cp(server.root, root, { recursive: true })
        return root
      }
      const all = await count(mergeInto(await copy(), set))
      const old = all.filter(({ call, path }) => call === 'unlink' && /\.(wal|tsm)$/.test(path))
      const row = `restore --merge into directories of influxd, ${indexVersion}`
      await expectPlaces(row, all)
      const points = SLOW ? all : old
      await tryAll(row, { points, more: old.length }, async (point) => {
        const root = await copy()
        await killAt(point, mergeInto(root, set))
        const killed = await startInfluxd({ indexVersion, dir: root })
        const own = (await dumpAll(killed, { db: 'd' })).filter((line) => /own/.test(line))
        expect(own).toEqual(wanted.filter((line) => /own/.test(line)))
        await killed.stop()
        const { code, stderr } = await finish(contextOf(mergeInto(root, set)))
        expect(code, stderr).toBe(0)
        await killed.start()
        expect(await dumpAll(killed, { db: 'd' })).toEqual(wanted)
        await killed.dispose()
      })
      await server.dispose()
    },
  )
})
