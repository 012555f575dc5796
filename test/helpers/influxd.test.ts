import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from './influxd.ts'
import { tempDir } from './temp.ts'

describeWithInfluxd('a real influxd for tests', () => {
  let server: Influxd

  beforeAll(async () => {
    server = await startInfluxd({ indexVersion: 'tsi1' })
    await server.query('CREATE DATABASE d')
    await server.write('m,t=1 i=9007199254740993i,f=0.1 -1', { db: 'd' })
  })
  afterAll(async () => {
    await server?.dispose()
  })

  it('answers exactly in CSV', async () => {
    const csv = await server.queryCsv('SELECT i FROM m', { db: 'd' })
    expect(csv).toBe('name,tags,time,i\nm,,-1,9007199254740993\n')
  })

  it('has the index asked for', () => {
    expect(existsSync(join(server.dirs.data, 'd/autogen/1/index'))).toBe(true)
  })

  it('keeps what was acknowledged through a kill, and flushes on request', async () => {
    await server.kill()
    expect(server.running).toBe(false)
    await server.start()
    expect(await server.shards()).toEqual([{ id: 1, database: 'd', retentionPolicy: 'autogen' }])
    await server.flush()
    expect(existsSync(join(server.dirs.data, 'd/autogen/1/000000001-000000001.tsm'))).toBe(true)
    expect((await server.query('SELECT f FROM m', { db: 'd' }))[0]?.values).toEqual([[-1, 0.1]])
  })

  it('rejects a query with an error inside and a bad write', async () => {
    await expect(server.query('SELECT * FROM m', { db: 'nosuch' })).rejects.toThrow(
      /database not found/,
    )
    await expect(server.write('m f=', { db: 'd' })).rejects.toThrow(/400/)
  })

  it('is backed up and restored by the stock commands', async () => {
    const dir = await tempDir('stock')
    const backup = await stockBackup(['-portable', '-host', server.host, '-db', 'd', dir])
    expect(backup, backup.stderr).toMatchObject({ code: 0 })
    const args = ['-portable', '-host', server.host, '-db', 'd', '-newdb', 'e', dir]
    const restore = await stockRestore(args)
    expect(restore, restore.stderr).toMatchObject({ code: 0 })
    await server.settled()
    expect((await server.query('SELECT f FROM m', { db: 'e' }))[0]?.values).toEqual([[-1, 0.1]])
  })
})
