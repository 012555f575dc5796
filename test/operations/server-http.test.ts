import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { openHttp } from '../../src/operations/server-http.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'

describeWithInfluxd('the HTTP API of a server', () => {
  let server: Influxd
  let other: Influxd
  const { signal } = new AbortController()
  const open = async (of: Influxd, url: string | undefined) =>
    await openHttp({ client: new Client(of.host), name: of.host }, { url }, signal)

  beforeAll(async () => {
    server = await startInfluxd()
    other = await startInfluxd()
  })
  afterAll(async () => {
    await server?.dispose()
    await other?.dispose()
  })

  it('is taken where it was named and lists the same shards', async () => {
    await expect(open(server, server.httpUrl)).resolves.toMatchObject({ url: server.httpUrl })
    await server.query('CREATE DATABASE "d b"')
    await server.write(['m v=1 1', 'm v=1 -9223372036854775806', 'm v=1 9223372036854775806'], {
      db: 'd b',
    })
    const http = await open(server, server.httpUrl)
    expect((await http.query('SHOW DATABASES')).map(({ values }) => values['name'])).toEqual([
      'd b',
    ])
  })

  it('is refused if it lists other databases or shards', async () => {
    const refused = async (why: string) => {
      const message = expect.stringContaining(why)
      await expect(open(other, server.httpUrl)).rejects.toMatchObject({ code: 'E_SOURCE', message })
    }
    await refused('lists other databases')
    await other.query('CREATE DATABASE "d b"')
    await refused('lists other shards')
  })

  it('is looked for at port 8086 of the host', async () => {
    const failure = open(server, undefined).catch((error: unknown) => error)
    expect(await failure).toMatchObject({ message: expect.stringContaining('127.0.0.1:8086') })
  })
})
