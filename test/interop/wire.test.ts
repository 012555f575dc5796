import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { emptyData, encodeData, listShards } from '../../src/meta/index.ts'
import {
  decodeRequest,
  encodeOpening,
  parseShardPath,
  RequestType,
} from '../../src/protocol/index.ts'
import { Service } from '../../src/service/index.ts'
import { readShardTar } from '../../src/tar/index.ts'
import { streamOf } from '../client/tars.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { identifier } from '../helpers/odd-data.ts'
import { tempDir } from '../helpers/temp.ts'
import { rejected } from '../protocol/thrown.ts'
import { MemoryStore } from '../service/memory-store.ts'

const DB = 'a<b> & "größe"'
const YEAR = 31_536_000_000_000_000n

/** Forwards connections to `port` and keeps what the client's side sends on each. */
async function recordingProxy(port: number) {
  const sent: Buffer[][] = []
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const chunks: Buffer[] = []
    sent.push(chunks)
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    near.on('data', (chunk) => chunks.push(chunk))
    near.pipe(far)
    far.pipe(near)
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  const at = typeof address === 'object' && address !== null ? address.port : 0
  return { host: `127.0.0.1:${at}`, sent: () => sent.map((chunks) => Buffer.concat(chunks)) }
}

async function filesOf(tar: AsyncIterable<Uint8Array>): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for await (const { name, body } of readShardTar(tar)) files.set(name, await buffer(body))
  return files
}

describeWithInfluxd('the wire, between ours and influxd', () => {
  let server: Influxd
  let client: Client

  beforeAll(async () => {
    server = await startInfluxd()
    client = new Client(server.host)
    await server.query(`CREATE DATABASE ${identifier(DB)}`)
    await server.query('CREATE DATABASE empty')
    await server.write(['m,t=1 i=9007199254740993i,f=0.1 1', `m,t=2 f=2 ${YEAR}`], { db: DB })
  })
  afterAll(async () => {
    await server?.dispose()
  })

  async function shards() {
    const { Paths } = await client.databaseInfo(DB)
    return Paths.map(parseShardPath)
  }

  async function points(db: string): Promise<string> {
    return await server.queryCsv('SELECT f, i FROM m', { db })
  }

  async function restored(name: string): Promise<Map<bigint, bigint>> {
    const { meta } = await client.metastoreBytes()
    return await client.updateMeta({ BackupDatabase: DB, RestoreDatabase: name }, [meta])
  }

  it('reads its metastore, and the node it does not set', async () => {
    const data = await client.metastoreBackup()
    expect(data.databases.map(({ name }) => name)).toEqual([DB, 'empty'])
    const { node } = await client.metastoreBytes()
    expect(Buffer.from(node).toString()).toBe('null\n')
  })

  it('reads its paths', async () => {
    const all = await client.databaseInfo()
    expect(all.Paths).toEqual([`${DB}/autogen/1`, `${DB}/autogen/2`])
    expect(await client.databaseInfo(DB)).toEqual(all)
    expect(await client.retentionPolicyInfo(DB, 'autogen')).toEqual(all)
    expect(await client.databaseInfo('empty')).toEqual({ Paths: [] })
  })

  it('names what is unknown there', async () => {
    const shard = { database: DB, retentionPolicy: 'autogen', shardId: 99 }
    for (const asked of [
      () => client.databaseInfo('no db'),
      () => client.retentionPolicyInfo(DB, 'no rp'),
      () => text(client.shardBackup(shard)),
    ]) {
      expect((await rejected(asked())).code).toBe('E_SOURCE')
    }
  })

  it('reads its shards, whole and since', async () => {
    for (const shard of await shards()) {
      const files = await filesOf(client.shardBackup(shard))
      expect([...files.keys()]).toEqual([`${DB}/autogen/${shard.shardId}/000000001-000000001.tsm`])
      const since = 230n * YEAR
      expect(await text(client.shardBackup({ ...shard, since }))).toBe('\0'.repeat(1024))
    }
  })

  it('reads its exports, with bounds and without', async () => {
    const [shard] = await shards()
    if (shard === undefined) throw new Error('no shard')
    expect((await filesOf(client.shardExport(shard))).size).toBe(1)
    expect((await filesOf(client.shardExport({ ...shard, end: 0n }))).size).toBe(0)
  })

  it('imports metadata and uploads shards', async () => {
    const ids = await restored('copy')
    expect(new Set(ids.keys())).toEqual(new Set([1n, 2n]))
    for (const shard of await shards()) {
      const tar = client.shardBackup(shard)
      await client.uploadShard(shard.shardId, ids.get(shard.shardId) ?? 0n, 'copy', '', tar)
    }
    expect(await points('copy')).toBe(await points(DB))
  })

  it('says what it can when the metadata was not changed', async () => {
    await restored('twice')
    expect(await rejected(restored('twice'))).toMatchObject({
      code: 'E_DESTINATION',
      retryable: false,
    })
    for (const payload of [encodeData(emptyData()), Buffer.from('rubbish')]) {
      const refused = client.updateMeta({ BackupDatabase: 'x' }, [payload])
      expect((await rejected(refused)).message).toMatch(/server did not change its metadata/)
    }
  })

  it('reopens a shard by an upload without files, and is told of a shard that is not there', async () => {
    const empty = () => streamOf(new Uint8Array(1024))
    await client.uploadShard(1, 1, DB, '', empty())
    const error = await rejected(client.uploadShard(1, 99, DB, '', empty()))
    expect(error).toMatchObject({ code: 'E_DESTINATION', retryable: false })
  })

  it('knows the HTTP port when it gets there', async () => {
    const http = new Client(server.httpUrl.slice('http://'.length))
    const error = await rejected(http.databaseInfo())
    expect(error.code).toBe('E_PROTOCOL')
    expect(error.hint).toMatch(/8086/)
  })
})

describeWithInfluxd('the wire, between influxd and ours', () => {
  let server: Influxd
  let store: MemoryStore
  let service: Service

  beforeAll(async () => {
    server = await startInfluxd()
    await server.query(`CREATE DATABASE ${identifier(DB)}`)
    await server.write(['m f=0.1 1', `m f=2 ${YEAR}`], { db: DB })
  })
  beforeEach(async () => {
    store = new MemoryStore(emptyData())
    service = new Service({ metaClient: store, tsdbStore: store, port: 0 })
    await service.open()
    onTestFinished(() => service.close())
  })
  afterAll(async () => {
    await server?.dispose()
  })

  it('serves and takes what the stock commands ask, whose requests ours are byte for byte', async () => {
    const proxy = await recordingProxy(service.address?.port ?? 0)
    const [first, second] = [await tempDir('first'), await tempDir('second')]
    const backup = await stockBackup(['-portable', '-host', server.host, first])
    expect(backup, backup.stderr).toMatchObject({ code: 0 })
    const restore = await stockRestore([
      ...['-portable', '-host', proxy.host, '-db', DB, '-newdb', 'n <w>', '-rp', 'autogen'],
      ...['-newrp', 'n\u2028p', first],
    ])
    expect(restore, restore.stderr).toMatchObject({ code: 0 })
    await expect.poll(() => store.changes.filter((change) => /restore/.test(change)).length).toBe(2)
    const range = ['-start', '2001-02-03T04:05:06.780Z', '-end', '2021-02-03T04:05:06Z']
    for (const args of [[], ['-db', 'n <w>'], ['-db', 'n <w>', '-rp', 'n\u2028p'], range]) {
      const again = await stockBackup(['-portable', '-host', proxy.host, ...args, second])
      expect(again, again.stderr).toMatchObject({ code: 0 })
    }
    const requests = proxy.sent().filter((sent) => sent[1] !== RequestType.ShardUpdate)
    expect(new Set(requests.map((sent) => sent[1]))).toEqual(new Set([0, 1, 3, 4, 5, 6]))
    for (const sent of requests) {
      const opening = sent.subarray(0, sent.indexOf('\n') + 1)
      const { extra, Type, ...request } = decodeRequest(opening.subarray(2))
      expect(extra.size).toBe(0)
      const [type] = Object.values(RequestType).filter((value) => value === Type)
      expect(Buffer.from(encodeOpening({ ...request, Type: type ?? 0 }))).toEqual(opening)
    }
  })

  it('hands a copy on from store to store, in process', async () => {
    const from = new Client(server.host)
    const to = new Client(async () => {
      const [near, far] = duplexPair()
      void service.handle(far)
      return near
    })
    const { meta } = await from.metastoreBytes()
    const ids = await to.updateMeta({ BackupDatabase: DB }, [meta])
    expect(ids.size).toBe(2)
    for (const { database, retentionPolicy, shard } of listShards(await from.metastoreBackup())) {
      const selection = { database, retentionPolicy, shardId: shard.id }
      const newId = ids.get(shard.id) ?? 0n
      await to.uploadShard(shard.id, newId, '', '', from.shardBackup(selection))
      const [original] = (await filesOf(from.shardBackup(selection))).values()
      const [copy] = (await filesOf(to.shardBackup({ ...selection, shardId: newId }))).values()
      expect(copy?.equals(original ?? Buffer.alloc(0))).toBe(true)
    }
  })
})
