import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseEntryName } from '../../src/tar/names.ts'
import { packShardTar, type TarEntryInput } from '../../src/tar/writer.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { listTar } from './streams.ts'

const DATABASE = `wörld "db" ${'x'.repeat(100)}`
const POLICY = 'r p.1'

describeWithInfluxd('tars and a real influxd', () => {
  let server: Influxd
  beforeAll(async () => {
    server = await startInfluxd()
    const database = `"${DATABASE.replaceAll('"', '\\"')}"`
    await server.query(`CREATE DATABASE ${database}`)
    await server.query(
      `CREATE RETENTION POLICY "${POLICY}" ON ${database} DURATION INF REPLICATION 1 DEFAULT`,
    )
    await server.write('m v=1 1', { db: DATABASE })
  })
  afterAll(async () => await server.dispose())

  async function upload(entries: Iterable<TarEntryInput>): Promise<void> {
    const [shard] = await server.shards()
    const [host, port] = server.host.split(':')
    const socket = connect({ host: host ?? '', port: Number(port), allowHalfOpen: true })
    const request = Buffer.from([3, 7, 0, 0, 0, 0, 0, 0, 0, shard?.id ?? 0])
    socket.write(request)
    for await (const chunk of packShardTar(entries)) {
      if (!socket.write(chunk)) await once(socket, 'drain')
    }
    socket.end()
    // Unread or damaged bytes would end in a reset.
    for await (const _ of socket.setTimeout(120_000, () => socket.destroy(new Error('silent')))) {
    }
    await server.settled()
  }

  it('sends names as parseEntryName takes them apart', async () => {
    const [file] = await listTar(await server.shardTar(1))
    expect(parseEntryName(file?.name ?? '')).toEqual({
      database: DATABASE,
      retentionPolicy: POLICY,
      shardId: 1n,
      file: '000000001-000000001.tsm',
    })
  })

  it('refuses the names we refuse', async () => {
    for (const name of ['a/b', 'a\\\\b', 'a\tb', '.', '..']) {
      await expect(server.query(`CREATE DATABASE "${name}"`)).rejects.toThrow('invalid name')
    }
  })

  it('reads our tars, extended headers included', async () => {
    const [file] = await listTar(await server.shardTar(1))
    if (file === undefined) throw new Error('no file')
    const { body, size } = file
    const name = file.name.replace('000000001-', '000000777-')
    // The time is past 2038, so that both an odd name and a time are in the extended header.
    await upload([{ name, size, body: [body], mtime: new Date('2040-01-02T03:04:05Z') }])
    const names = (await listTar(await server.shardTar(1))).map((entry) => entry.name)
    expect(names).toContain(name)
  })

  it.runIf(process.env['SLOW'] === '1')(
    'reads past an entry of more than 8 GiB',
    async () => {
      const [file] = await listTar(await server.shardTar(1))
      if (file === undefined) throw new Error('no file')
      const zeros = Buffer.alloc(2 ** 20)
      const count = 8 * 1024 + 1
      function* giant() {
        for (let i = 0; i < count; i += 1) yield zeros
      }
      const mtime = new Date(0)
      const name = file.name.replace('000000001-', '000000999-')
      await upload([
        { name: `${name}.skipped`, size: count * zeros.length, body: giant(), mtime },
        { name, size: file.size, body: [file.body], mtime },
      ])
      const names = (await listTar(await server.shardTar(1))).map((entry) => entry.name)
      expect(names).toContain(name)
    },
    300_000,
  )
})
