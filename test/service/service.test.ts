import type { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { encodeData, listShards } from '../../src/meta/index.ts'
import { readShardTar } from '../../src/tar/index.ts'
import { entry, streamOf, tarOf } from '../client/tars.ts'
import { until } from '../helpers/until.ts'
import { sampleData } from '../meta/samples.ts'
import { rejected } from '../protocol/thrown.ts'
import { BIG_ID, DATABASE, emptyStore, sampleStore, serve } from './harness.ts'

async function filesOf(tar: AsyncIterable<Uint8Array>): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for await (const { name, body } of readShardTar(tar)) files[name] = await text(body)
  return files
}

const SHARD = { database: DATABASE, retentionPolicy: 'autogen', shardId: 10 }
const NAMES = { BackupDatabase: DATABASE, RestoreDatabase: 'copy' }

describe.each(['tcp', 'in process'])('Client and Service, %s', (kind) => {
  const tcp = kind === 'tcp'

  it('agree on the metastore', async () => {
    const { client, service } = await serve(sampleStore())
    expect(await client(kind).metastoreBackup()).toEqual(sampleData())
    const { meta, node } = await client(kind).metastoreBytes()
    expect(Buffer.from(meta).equals(encodeData(sampleData()))).toBe(true)
    expect(Buffer.from(node).toString()).toBe('null\n')
    service.node = { ID: 2n ** 63n }
    const named = await client(kind).metastoreBytes()
    expect(Buffer.from(named.node).toString()).toBe('{"ID":9223372036854775808}\n')
  })

  it('agree on the shards that are here', async () => {
    const { client } = await serve(sampleStore())
    const here = [`${DATABASE}/autogen/10`, `${DATABASE}/autogen/${BIG_ID}`]
    expect(await client(kind).databaseInfo(DATABASE)).toEqual({ Paths: here })
    expect(await client(kind).databaseInfo()).toEqual({ Paths: ['_internal/monitor/1', ...here] })
    expect(await client(kind).retentionPolicyInfo(DATABASE, 'autogen')).toEqual({ Paths: here })
    expect(await client(kind).retentionPolicyInfo(DATABASE, 'ünï')).toEqual({ Paths: [] })
  })

  it('agree on what is unknown', async () => {
    const { client, log } = await serve(sampleStore())
    const errors = await Promise.all([
      rejected(client(kind).databaseInfo('no db')),
      rejected(client(kind).retentionPolicyInfo('no db', 'autogen')),
      rejected(client(kind).retentionPolicyInfo(DATABASE, 'no rp')),
      rejected(text(client(kind).shardBackup({ ...SHARD, shardId: 99 }))),
    ])
    for (const error of errors) {
      expect(error.code).toBe('E_SOURCE')
      expect(error.message).toMatch(tcp ? /empty answer/ : /not found|not here/)
    }
    await log.line(/error: .*: DatabaseInfo "no db": database not found: "no db"/)
    await log.line(
      /error: .*: RetentionPolicyInfo .*: retention policy not found: "tele.graf db.no rp"/,
    )
    await log.line(/error: .*: ShardBackup .* shard 99: shard 99 is not here/)
  })

  it('agree on the files of a shard', async () => {
    const { client } = await serve(sampleStore())
    const files = {
      [`${DATABASE}/autogen/10/a.tsm`]: 'first',
      [`${DATABASE}/autogen/10/b.tsm`]: 'second',
    }
    expect(await filesOf(client(kind).shardBackup(SHARD))).toEqual(files)
    const since = 1_600_000_000_000_000_000n
    expect(await filesOf(client(kind).shardBackup({ ...SHARD, since: since - 1n }))).toEqual(files)
    expect(await text(client(kind).shardBackup({ ...SHARD, since }))).toBe('\0'.repeat(1024))
  })

  it('agree on the range of an export', async () => {
    const { client } = await serve(sampleStore())
    const name = `${DATABASE}/autogen/10/range.tsm`
    const range = client(kind).shardExport({ ...SHARD, start: -5n, end: 5n })
    expect(await filesOf(range)).toEqual({ [name]: '-5 5' })
    const all = await filesOf(client(kind).shardExport(SHARD))
    expect(all).toEqual({ [name]: '-9223372036854775806 9223372036854775806' })
  })

  it('carry a large shard', async () => {
    const store = sampleStore()
    const big = 'x'.repeat(20_000_000)
    store.addShard(`${DATABASE}/autogen/11`, { 'big.tsm': big })
    const { client } = await serve(store)
    const files = await filesOf(client(kind).shardBackup({ ...SHARD, shardId: 11 }))
    expect(files[`${DATABASE}/autogen/11/big.tsm`] === big).toBe(true)
  })

  it('import a database, with new shards for all but deleted groups', async () => {
    const store = emptyStore()
    const { client } = await serve(store)
    const ids = await client(kind).updateMeta(NAMES, [encodeData(sampleData())])
    const shards = listShards(store.data())
    expect(shards.map(({ database }) => database)).toEqual(['copy', 'copy', 'copy'])
    expect([...ids.keys()]).toEqual([10n, 11n, BIG_ID])
    expect([...ids.values()]).toEqual(shards.map(({ shard }) => shard.id))
    expect([...store.shards.values()].map(({ path }) => path)).toEqual(
      [...ids.values()].map((id) => `copy/autogen/${id}`),
    )
    expect(store.changes[0]).toBe('setData')
  })

  it('refuse an import in the words of the protocol, or with the reason', async () => {
    const store = sampleStore()
    const { client, log } = await serve(store)
    const sample = encodeData(sampleData())
    const codes: string[] = []
    for (const [BackupDatabase, payload] of [
      [DATABASE, sample],
      ['no db', sample],
      ['', Buffer.from('rubbish')],
      ['', Buffer.alloc(0)],
    ] as const) {
      codes.push((await rejected(client(kind).updateMeta({ BackupDatabase }, [payload]))).code)
    }
    expect(codes).toEqual(
      tcp
        ? ['E_DESTINATION', 'E_DESTINATION', 'E_DESTINATION', 'E_DESTINATION']
        : ['E_TARGET_EXISTS', 'E_NOTHING_MATCHED', 'E_FORMAT', 'E_FORMAT'],
    )
    await log.line(tcp ? /warn: .*MetaStoreUpdate .*refused: .*exists/ : /error: .*exists/)
    expect(store.changes).toEqual([])
  })

  it('import one database after the other', async () => {
    const store = emptyStore()
    const { client } = await serve(store)
    const names = ['a', 'b', 'c', 'd']
    const maps = await Promise.all(
      names.map((RestoreDatabase) =>
        client(kind).updateMeta({ ...NAMES, RestoreDatabase }, [encodeData(sampleData())]),
      ),
    )
    expect(
      store
        .data()
        .databases.map(({ name }) => name)
        .sort(),
    ).toEqual(names)
    const ids = maps.flatMap((map) => [...map.values()])
    expect(new Set(ids).size).toBe(12)
  })

  it('do not say what came of an import whose store failed', async () => {
    const store = emptyStore()
    const createShard = store.createShard.bind(store)
    store.createShard = (database, policy, id) => {
      if (store.shards.size === 1) throw new SnapError('E_DESTINATION', 'disk full')
      createShard(database, policy, id)
    }
    const { client, log } = await serve(store)
    const error = await rejected(client(kind).updateMeta(NAMES, [encodeData(sampleData())]))
    expect(error.code).toBe('E_DESTINATION')
    expect(error.message).toMatch(tcp ? /empty answer to a metadata update/ : /disk full/)
    await log.line(/error: .*MetaStoreUpdate.*disk full/)
    expect(store.databases()).toEqual([])
    expect(store.shards.size).toBe(0)
    store.deleteShard = () => {
      throw new SnapError('E_DESTINATION', 'disk broken')
    }
    await rejected(client(kind).updateMeta(NAMES, [encodeData(sampleData())]))
    await log.line(/error: .*MetaStoreUpdate.*disk full; databases left behind: .*: disk broken/)
    store.setData = () => {
      throw new SnapError('E_DESTINATION', 'read-only')
    }
    const again = { ...NAMES, RestoreDatabase: 'again' }
    const refused = await rejected(client(kind).updateMeta(again, [encodeData(sampleData())]))
    expect(refused.message).toMatch(tcp ? /empty answer/ : /read-only/)
  })

  it('take an upload into a shard that is out of use meanwhile', async () => {
    const store = sampleStore()
    const { client } = await serve(store)
    const tar = streamOf(await tarOf(entry('old/rp/1/c.tsm', 'third')))
    await client(kind).uploadShard(1, 10, DATABASE, 'autogen', tar)
    expect(store.shards.get(10n)?.files.get('c.tsm')?.bytes.toString()).toBe('third')
    expect(store.changes).toEqual(['disable 10', 'restore 10', 'enable 10'])
  })

  it('put the shard back into use when an upload fails, and do not call it finished', async () => {
    const store = sampleStore()
    const { client, log } = await serve(store)
    const cut = streamOf(await tarOf(entry('old/rp/1/c.tsm', 'x'.repeat(900_000))), 65_536)
    const failing = async function* () {
      for await (const chunk of cut) {
        yield chunk
        await delay(5)
        if (store.changes.length > 0) throw new SnapError('E_INTEGRITY', 'bad block')
      }
    }
    const upload = client(kind).uploadShard(1, 10, DATABASE, '', failing())
    expect((await rejected(upload)).message).toBe('bad block')
    await log.line(/error: .*ShardUpdate 10: /)
    expect(store.changes).toEqual(['disable 10', 'enable 10'])
    expect(store.shards.get(10n)?.files.size).toBe(2)
  })

  it('refuse an upload to a shard that is not here', async () => {
    const { client, log } = await serve(sampleStore())
    const tar = streamOf(await tarOf(entry('old/rp/1/c.tsm', 'third')))
    const error = await rejected(client(kind).uploadShard(1, 99, DATABASE, '', tar))
    expect(error.code).toBe(tcp ? 'E_DESTINATION' : 'E_SOURCE')
    await log.line(/error: .*ShardUpdate 99: shard 99 is not here/)
  })

  it('do not let a store that fails in the middle look whole', async () => {
    const store = sampleStore()
    store.backupShard = async (_id: bigint, _since: bigint, w: Writable) => {
      w.write((await tarOf(entry('db/rp/10/x.tsm', 'x'.repeat(100_000)))).subarray(0, 50_000))
      await delay(20)
      throw new SnapError('E_FAILED', 'disk broke')
    }
    const { client, log } = await serve(store)
    const error = await rejected(filesOf(client(kind).shardBackup(SHARD)))
    expect(error).toMatchObject(
      tcp ? { code: 'E_CUT', retryable: true } : { message: 'disk broke' },
    )
    await log.line(/error: .*ShardBackup .*: disk broke/)
  })

  it('tell a store that its peer is gone', async () => {
    const store = sampleStore()
    let stopped: Promise<unknown> = Promise.resolve()
    store.backupShard = async (_id: bigint, _since: bigint, w: Writable, signal: AbortSignal) => {
      stopped = new Promise((resolve) => signal.addEventListener('abort', resolve))
      w.write('first')
      await stopped
      throw signal.reason
    }
    const { client } = await serve(store)
    for await (const chunk of client(kind).shardBackup(SHARD)) {
      expect(chunk.length).toBe(5)
      break
    }
    await stopped
  })

  it('log what was answered', async () => {
    const { client, log, service } = await serve(sampleStore())
    await client(kind).databaseInfo('_internal')
    await log.line(/^info: .*: DatabaseInfo "_internal": answered, 34 bytes$/)
    const lines: string[] = []
    service.withLogger({ info: (line) => lines.push(line), warn() {}, error() {} })
    await client(kind).retentionPolicyInfo('_internal', 'monitor')
    await until(() => lines.length > 0)
    expect(lines[0]).toMatch(/RetentionPolicyInfo "_internal" "monitor": answered/)
  })
})

describe('Service', () => {
  it('keeps times inside int64, where those of Go would overflow', async () => {
    const store = sampleStore()
    const asked: bigint[] = []
    store.backupShard = async (_id: bigint, since: bigint) => void asked.push(since)
    store.exportShard = async (_id: bigint, start: bigint, end: bigint) =>
      void asked.push(start, end)
    const { client } = await serve(store)
    const first = -(2n ** 63n)
    const last = 2n ** 63n - 1n
    const far = 253_402_300_799_000_000_000n
    const ask = client('tcp')
    for (const since of [undefined, far, 5n]) {
      await rejected(text(ask.shardBackup({ ...SHARD, since })))
    }
    await rejected(text(ask.shardExport({ ...SHARD, start: -far / 10n, end: far })))
    expect(asked).toEqual([first, last, 5n, first, last])
  })
})
