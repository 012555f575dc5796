import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { Client, HttpClient } from '../../src/client/index.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { findDatabase } from '../../src/meta/index.ts'
import { type BackupOptions, backup } from '../../src/operations/backup.ts'
import { ServerSource } from '../../src/operations/server-source.ts'
import { Service } from '../../src/service/index.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { packShardTar, readShardTar, type TarEntryInput } from '../../src/tar/index.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'

describeWithInfluxd('a shard that lacks a file', () => {
  let server: Influxd
  let target: string
  /** How many of the next answers lack their last file. */
  let cuts = 0
  let asked = 0

  /** A server between us and influxd that leaves files out, in a well-formed tar, as influxd does when its walk fails. */
  function forgetful(): Client {
    const client = new Client(server.host)
    const refuse = () => {
      throw new Error('not asked for')
    }
    const service = new Service({
      metaClient: {
        marshalBinary: async () => (await client.metastoreBytes()).meta,
        database: async (name) => findDatabase(await client.metastoreBackup(), name),
        databases: async () => (await client.metastoreBackup()).databases,
        data: () => client.metastoreBackup(),
        setData: refuse,
      },
      tsdbStore: {
        backupShard: async (shardId, _since, w: Writable) => {
          asked++
          const shard = { database: 'd', retentionPolicy: 'autogen', shardId }
          const entries = readShardTar(client.shardBackup(shard))
          const tar = packShardTar(cuts-- > 0 ? withoutLast(entries) : entries)
          await pipeline(tar, new PassThrough(), w, { end: false })
        },
        exportShard: refuse,
        shard: () => ({}),
        shardRelativePath: (id) => `d/autogen/${id}`,
        setShardEnabled: refuse,
        restoreShard: refuse,
        createShard: refuse,
      },
    })
    return new Client(async () => {
      const [ours, theirs] = duplexPair()
      void service.handle(theirs)
      return ours
    })
  }

  async function* withoutLast(entries: AsyncIterable<TarEntryInput>) {
    let held: TarEntryInput | undefined
    for await (const entry of entries) {
      if (held !== undefined) yield held
      const chunks: Uint8Array[] = []
      for await (const chunk of entry.body) chunks.push(Buffer.from(chunk))
      held = { ...entry, body: chunks }
    }
  }

  async function run(options: Partial<BackupOptions>) {
    const name = server.host
    const opened = { client: forgetful(), name, losses: () => [], close: async () => {} }
    return await backup({
      source: new ServerSource(opened),
      store: new LocalStore(target),
      selection: {},
      compression: 'gzip',
      jobs: 1,
      attempts: 1,
      tempDir: target,
      skipErrors: false,
      dryRun: false,
      version: '0',
      signal: new AbortController().signal,
      ...options,
    })
  }

  beforeAll(async () => {
    server = await startInfluxd()
    await server.query('CREATE DATABASE d')
    for (const field of ['a', 'b']) {
      await server.write([`m ${field}=1 1000`], { db: 'd' })
      for await (const _ of new Client(server.host).shardBackup({
        database: 'd',
        retentionPolicy: 'autogen',
        shardId: 1n,
      })) {
        // Asking for a shard makes influxd flush it.
      }
    }
  })
  afterAll(() => server?.dispose())
  beforeEach(async () => {
    target = await tempDir('confirm')
    asked = 0
  })

  const http = () => new HttpClient({ url: server.httpUrl })

  it('is taken for whole where nothing else can be asked, and the set says so', async () => {
    cuts = 1
    expect(await run({})).toMatchObject({
      completeness: 'unconfirmed',
      completenessReason: 'the server does not say whether a shard is complete',
    })
  })

  it('is fetched again when the server counts more', async () => {
    cuts = 1
    const { completeness, shards } = await run({ http: http() })
    expect({ completeness, asked }).toEqual({ completeness: 'confirmed', asked: 2 })
    expect(shards).toMatchObject([{ shardId: 1n, complete: true }])
  })

  it('fails the backup if it comes so again, and leaves nothing', async () => {
    cuts = 9
    await expect(run({ http: http() })).rejects.toMatchObject({
      code: 'E_SOURCE_DAMAGED',
      message: 'shard 1 (d.autogen) came incomplete: 1 files came, the server counts 2',
    })
    expect(await filesOf(target)).toEqual([])
  })

  it('is skipped on request', async () => {
    cuts = 9
    await expect(run({ http: http(), skipErrors: true })).rejects.toMatchObject({
      code: 'E_SOURCE',
    })
  })

  it('is found by listing it twice', async () => {
    cuts = 1
    expect(await run({ twice: true })).toMatchObject({ completeness: 'unconfirmed' })
    cuts = 0
    expect(await run({ twice: true })).toMatchObject({ completeness: 'confirmed' })
  })
})
