import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { loadOddData } from '../helpers/odd-data.ts'
import { tempDir } from '../helpers/temp.ts'

describeWithInfluxd('snap export --to-url to influxd', () => {
  let from: Influxd
  let to: Influxd

  beforeAll(async () => {
    ;[from, to] = await Promise.all([startInfluxd(), startInfluxd()])
    await loadOddData(from)
  })

  afterAll(async () => {
    await Promise.all([from.stop(), to.stop()])
  })

  it('makes the databases and writes every point, from a backup and live', async () => {
    const target = await tempDir('target')
    await snapJson(['backup', '--host', from.host, target])
    const url = ['--to-url', to.httpUrl, '--ddl']
    const sent = await snapJson(['export', '--from', target, ...url, '--check-counts'])
    expect(sent['fewer']).toEqual([])
    expect(sent['counted']).toBeGreaterThan(5)
    expect(await dumpAll(to)).toEqual(await dumpAll(from))
    const again = await snapJson(['export', '--host', from.host, ...url])
    expect(again['points']).toBe(sent['points'])
    expect(await dumpAll(to)).toEqual(await dumpAll(from))
  })

  it('finds that the server did not keep what it took', async () => {
    const target = await tempDir('target')
    await from.query('CREATE DATABASE brief')
    await from.write(['m v=1 1000', 'm v=2 2000', `m v=3 ${Date.now()}000000`], { db: 'brief' })
    await snapJson(['backup', '--host', from.host, '--db', 'brief', target])
    const words = ['export', '--from', target, '--to-url', to.httpUrl, '--check-counts']
    expect(await snapJson([...words, '--ddl'])).toMatchObject({ points: 3, fewer: [] })
    // A later DROP SHARD stands for a retention policy that was at work.
    const shards = await to.query('SHOW SHARDS')
    const first = shards.find(({ name }) => name === 'brief')?.values?.[0]?.[0]
    await to.query(`DROP SHARD ${first}`)
    await to.query('ALTER RETENTION POLICY autogen ON brief DURATION 1d SHARD DURATION 1h')
    const { stderr } = await snapExpecting(15, words)
    expect(stderr).toMatch(/beyond retention policy|points of v are there/)
  })
})
