import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  Client,
  type ClientTls,
  type Data,
  type DatabaseInfo,
  type DoorFiles,
  encodeData,
  type MetaClient,
  openDoor,
  Service,
  type TSDBStore,
} from '../../src/index.ts'
import { emptyData, findDatabase } from '../../src/meta/index.ts'
import { describeWithOpenssl, makeAuthority } from '../helpers/certificates.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { loadOddData } from '../helpers/odd-data.ts'
import { tempDir } from '../helpers/temp.ts'

/** Sends what `influxd restore` sends for shards 1 to 20 and ends, as it does, without waiting for the server. */
const SENDER = `
const { connect } = require('node:net')
const [port] = process.argv.slice(1)
let left = 20
for (let id = 1; id <= 20; id++) {
  const socket = connect(port, '127.0.0.1')
  const opening = Buffer.from([3, 7, 0, 0, 0, 0, 0, 0, 0, id])
  socket.end(Buffer.concat([opening, Buffer.alloc(1024)]), () => --left || process.exit())
}`

/** A metastore in memory. */
class MemoryMeta implements MetaClient {
  #data: Data = emptyData()

  marshalBinary(): Uint8Array {
    return encodeData(this.#data)
  }
  database(name: string): DatabaseInfo | undefined {
    return findDatabase(this.#data, name)
  }
  databases(): readonly DatabaseInfo[] {
    return this.#data.databases
  }
  data(): Data {
    return this.#data
  }
  setData(data: Data): void {
    this.#data = data
  }
}

const NOTHING = new Uint8Array(1024)

/** Shards in memory, each the tar that was sent for it. */
class MemoryShards implements TSDBStore {
  readonly tars = new Map<bigint, Uint8Array>()
  readonly calls: string[] = []
  readonly #paths = new Map<bigint, string>()

  backupShard(id: bigint, _since: bigint, w: Writable): void {
    w.end(this.tars.get(id) ?? NOTHING)
  }
  exportShard(id: bigint, _start: bigint, _end: bigint, w: Writable): void {
    this.backupShard(id, 0n, w)
  }
  shard(id: bigint): object | undefined {
    return this.#paths.has(id) ? { id } : undefined
  }
  async shardRelativePath(id: bigint): Promise<string> {
    const path = this.#paths.get(id)
    if (path === undefined) throw new Error(`no shard ${id}`)
    return path
  }
  setShardEnabled(id: bigint, enabled: boolean): void {
    this.calls.push(`${enabled ? 'enable' : 'disable'} ${id}`)
  }
  async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of r) chunks.push(chunk)
    this.calls.push(`restore ${id}`)
    this.tars.set(id, Buffer.concat(chunks))
  }
  createShard(database: string, retentionPolicy: string, id: bigint): void {
    this.#paths.set(id, `${database}/${retentionPolicy}/${id}`)
  }
}

describeWithInfluxd('the service over a store of one’s own', () => {
  let source: Influxd
  let target: Influxd
  const tsdbStore = new MemoryShards()
  const service = new Service({ metaClient: new MemoryMeta(), tsdbStore, port: 0 })

  beforeAll(async () => {
    source = await startInfluxd()
    target = await startInfluxd()
    await loadOddData(source)
    await service.open()
  })
  afterAll(async () => {
    await service.close(0)
    await source?.dispose()
    await target?.dispose()
  })

  it('takes what influxd restores and gives what influxd backs up', async () => {
    const host = `127.0.0.1:${service.address?.port}`
    const [first, second] = [await tempDir('first'), await tempDir('second')]
    const backup = await stockBackup(['-portable', '-host', source.host, first])
    expect(backup, backup.stderr).toMatchObject({ code: 0 })
    const restore = await stockRestore(['-portable', '-host', host, first])
    expect(restore, restore.stderr).toMatchObject({ code: 0 })
    const shards = (await source.shards()).length
    await expect.poll(() => tsdbStore.calls.length).toBe(3 * shards)

    const again = await stockBackup(['-portable', '-host', host, second])
    expect(again, again.stderr).toMatchObject({ code: 0 })
    const last = await stockRestore(['-portable', '-host', target.host, second])
    expect(last, last.stderr).toMatchObject({ code: 0 })
    await target.settled()
    expect(await dumpAll(target)).toEqual(await dumpAll(source))
  })

  it('takes each shard out of use while it is restored', () => {
    for (const id of tsdbStore.tars.keys()) {
      const calls = tsdbStore.calls.filter((call) => call.endsWith(` ${id}`))
      expect(calls).toEqual([`disable ${id}`, `restore ${id}`, `enable ${id}`])
    }
  })

  it('answers our client as it answers influxd', async () => {
    const client = new Client(`127.0.0.1:${service.address?.port}`)
    const { databases } = await client.metastoreBackup()
    expect(databases.map(({ name }) => name).sort()).toEqual(['odd data', 'plain'])
    const { Paths } = await client.databaseInfo('plain')
    expect(Paths?.length).toBeGreaterThan(3)
  })
})

it('still takes all that was sent to it before it was closed', async () => {
  const tsdbStore = new MemoryShards()
  const ids = Array.from({ length: 20 }, (_, index) => BigInt(index + 1))
  for (const id of ids) tsdbStore.createShard('d', 'autogen', id)
  const service = new Service({ metaClient: new MemoryMeta(), tsdbStore, port: 0 })
  await service.open()
  // Our event loop stands still meanwhile: the system accepts the connections and keeps them for us.
  execFileSync(process.execPath, ['-e', SENDER, String(service.address?.port)])
  await service.close()
  const restored = ids.filter((id) => tsdbStore.calls.includes(`restore ${id}`))
  expect(restored).toEqual(ids)
})

describeWithOpenssl('a service of one’s own behind a door', () => {
  it('answers those who have certificate and token, and plainly who is on the machine', async () => {
    const authority = await makeAuthority()
    const tokenFile = join(authority.dir, 'tokens')
    await writeFile(tokenFile, 'first\nsecond\n', { mode: 0o600 })
    const files: DoorFiles = { ...(await authority.certify('server')), tokenFile }
    const said: string[] = []
    const note = (message: string) => void said.push(message)
    const logger = { info: note, warn: note, error: note }
    const stores = { metaClient: new MemoryMeta(), tsdbStore: new MemoryShards() }
    const door = await openDoor(files, logger)
    const plain = { host: '127.0.0.1', port: 0 }
    const service = new Service({ ...stores, port: 0, door, plain, logger })
    await service.open()
    try {
      const host = `127.0.0.1:${service.address?.port}`
      const tls: ClientTls = { ca: await readFile(authority.certFile) }
      const { databases } = await new Client(host, { tls, token: 'second' }).metastoreBackup()
      expect(databases).toEqual([])
      const stranger = new Client(host, { tls, token: 'third' })
      await expect(stranger.metastoreBackup()).rejects.toMatchObject({ code: 'E_CUT' })
      await expect(new Client(host).metastoreBackup()).rejects.toMatchObject({
        code: 'E_PROTOCOL',
      })
      expect(said.join('\n')).toContain('its token is none of ours')
      const near = new Client(`127.0.0.1:${service.plainAddress?.port}`)
      expect(await near.databaseInfo()).toEqual({ Paths: [] })
    } finally {
      await service.close(0)
    }
  })
})
