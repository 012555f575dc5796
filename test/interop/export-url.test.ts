import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapJson } from '../helpers/cli.ts'
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
    const sent = await snapJson(['export', '--from', target, ...url])
    expect(await dumpAll(to)).toEqual(await dumpAll(from))
    const again = await snapJson(['export', '--host', from.host, ...url])
    expect(again['points']).toBe(sent['points'])
    expect(await dumpAll(to)).toEqual(await dumpAll(from))
  })
})
