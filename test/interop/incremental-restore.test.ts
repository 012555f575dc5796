import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'

/** 2020-01-01 in seconds. */
const START = 1_577_836_800
const DAY = 86_400
const DAYS = 3

/** Lets all files look as old as in a server that is backed up once a day. */
async function age({ dirs }: Influxd): Promise<void> {
  const old = new Date(Date.now() - 3_600_000)
  const files = await readdir(dirs.data, { recursive: true })
  for (const name of files.filter((each) => /\.(tsm|tombstone)$/.test(each))) {
    await utimes(join(dirs.data, name), old, old)
  }
}

describeWithInfluxd('the newest set of a chain', () => {
  describe.each(['inmem', 'tsi1'] as const)('of an influxd with %s', (indexVersion) => {
    let source: Influxd
    let target: Influxd
    let chain: string
    let stock: string
    /** The sets of the same chain, each in a directory of its own. */
    const links: string[] = []
    let expected: string[]

    beforeAll(async () => {
      const config = { data: { 'compact-full-write-cold-duration': '24h' } }
      source = await startInfluxd({ indexVersion, config })
      target = await startInfluxd({ indexVersion })
      chain = await tempDir('chain')
      stock = await tempDir('stock')
      await source.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
      const write = (day: number, text: string) =>
        source.write(`${text} ${START + day * DAY + 60}`, { db: 'd', precision: 's' })
      const changes = [
        async () => {
          for (let day = 0; day < DAYS; day++) await write(day, `m,host=a v=${day},n=${day}i`)
        },
        () => write(1, 'm,host=a v=10'),
        () => source.query("DELETE FROM m WHERE host = 'a' AND time < 1577923200s", { db: 'd' }),
        () => write(2, 'other,host=b text="late"'),
      ]
      for (const [index, change] of changes.entries()) {
        await age(source)
        const since = new Date(Date.now() - 60_000).toISOString()
        await change()
        const from = ['--host', source.host, '--http', source.httpUrl]
        await snapExpecting(0, ['backup', '--quiet', '--incremental', ...from, chain])
        const only = index === 0 ? [] : ['-since', since]
        links.push(await tempDir('link'))
        for (const target of [stock, links.at(-1) ?? '']) {
          await stockBackup(['-portable', '-host', source.host, '-db', 'd', ...only, target])
        }
      }
      expected = await dumpAll(source, { db: 'd', dbAs: 'r' })
    })
    afterAll(async () => {
      await source?.dispose()
      await target?.dispose()
    })

    const restored = async () => {
      await target.settled()
      const dump = await dumpAll(target, { db: 'r' })
      await target.query('DROP DATABASE r')
      return dump
    }

    it('is restored by snap', async () => {
      const to = ['--host', target.host, '--http', target.httpUrl, '--db', 'd', '--newdb', 'r']
      await snapExpecting(0, ['restore', '--quiet', ...to, chain])
      expect(await restored()).toEqual(expected)
    })

    it('is restored by influxd, deletes aside', async () => {
      const to = ['-portable', '-host', target.host, '-db', 'd', '-newdb', 'r']
      expect(await stockRestore([...to, chain])).toMatchObject({ code: 0 })
      const ours = await restored()
      // influxd leaves tombstones out at every restore: deleted points return, and nothing is missing.
      expect(ours).toEqual(expect.arrayContaining(expected))
      expect(await stockRestore([...to, stock])).toMatchObject({ code: 0 })
      const theirs = await restored()
      const lost = expected.filter((line) => !theirs.includes(line))
      expect(lost.length, 'influxd loses points of its own chain').toBeGreaterThan(0)
    })

    it('of influxd itself is put together by merging its sets, oldest first', async () => {
      const to = ['--host', target.host, '--http', target.httpUrl, '--db', 'd', '--newdb', 'r']
      const [first = '', ...later] = links
      await snapExpecting(0, ['restore', '--quiet', ...to, first])
      for (const link of later) {
        const merge = ['restore', '--merge', '--quiet', '--on-conflict', 'backup', ...to]
        await snapExpecting(0, [...merge, link])
      }
      const dump = await restored()
      expect(dump).toEqual(expect.arrayContaining(expected))
    })
  })
})
