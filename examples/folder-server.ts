/**
 * A server of one's own on the snapshotter port: whatever speaks to influxd's port 8088 (`influxd backup`, `influxd restore`,
 * `snap`) can restore into a folder and back up from it. Shards are kept as they arrive, their files as plain files:
 *
 *     folder/meta.db                             the metastore: databases, policies, shard groups
 *     folder/telegraf/autogen/7/000000001-000000001.tsm
 *
 *     node folder-server.js FOLDER [PORT]
 *     influxd restore -portable -host 127.0.0.1:8188 /backup/influx
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  type Data,
  type DatabaseInfo,
  decodeData,
  emptyData,
  encodeData,
  findDatabase,
  listShards,
  type MetaClient,
  packShardTar,
  parseEntryName,
  readShardTar,
  Service,
  type TSDBStore,
} from 'influx-snap'

/** The metastore in one file. The service reads and replaces it as a whole, never twice at a time. */
class FolderMeta implements MetaClient {
  readonly #path: string
  #data: Data

  private constructor(path: string, data: Data) {
    this.#path = path
    this.#data = data
  }

  static async open(path: string): Promise<FolderMeta> {
    const bytes = await readFile(path).catch(() => undefined)
    return new FolderMeta(path, bytes === undefined ? emptyData() : decodeData(bytes))
  }

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

  async setData(data: Data): Promise<void> {
    // All or nothing: a crash leaves the old file or the new one.
    await writeFile(`${this.#path}.pending`, encodeData(data))
    await rename(`${this.#path}.pending`, this.#path)
    this.#data = data
  }
}

/** The shards in folders. Where a shard is follows from the metastore alone. */
class FolderShards implements TSDBStore {
  readonly #folder: string
  readonly #meta: FolderMeta

  constructor(folder: string, meta: FolderMeta) {
    this.#folder = folder
    this.#meta = meta
  }

  async backupShard(id: bigint, since: bigint, w: Writable, signal: AbortSignal): Promise<void> {
    // `packShardTar` pulls one file after the other: memory stays small whatever the shard's size.
    await pipeline(packShardTar(this.#files(id, since)), w, { signal })
  }

  exportShard(): void {
    // What a store throws ends in the log, and the peer gets an empty answer, which it takes for the failure it is.
    throw new Error('this server knows files, not points: back up whole shards')
  }

  shard(id: bigint): object | undefined {
    return listShards(this.#meta.data()).find(({ shard }) => shard.id === id)
  }

  shardRelativePath(id: bigint): string {
    const found = listShards(this.#meta.data()).find(({ shard }) => shard.id === id)
    if (found === undefined) throw new Error(`no shard ${id}`)
    return `${found.database}/${found.retentionPolicy}/${id}`
  }

  setShardEnabled(): void {
    // Nobody queries these shards, so there is nothing to take out of use.
  }

  async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const folder = join(this.#folder, this.shardRelativePath(id))
    const pending = `${folder}.pending`
    await mkdir(pending, { recursive: true })
    try {
      // Throws if the tar is cut, and refuses names that lead out of a shard.
      for await (const { name, body } of readShardTar(r, { signal })) {
        const file = basename(parseEntryName(name).file)
        await pipeline(body, createWriteStream(join(pending, file)), { signal })
      }
      for (const file of await readdir(pending))
        await rename(join(pending, file), join(folder, file))
    } finally {
      await rm(pending, { recursive: true, force: true })
    }
  }

  async createShard(database: string, retentionPolicy: string, id: bigint): Promise<void> {
    await mkdir(join(this.#folder, database, retentionPolicy, String(id)), { recursive: true })
  }

  /** The files of a shard that changed after `since`, in nanoseconds since 1970. */
  async *#files(id: bigint, since: bigint) {
    const path = this.shardRelativePath(id)
    for (const file of await readdir(join(this.#folder, path))) {
      const place = join(this.#folder, path, file)
      const { size, mtime, mtimeNs } = await stat(place, { bigint: true })
      if (mtimeNs <= since) continue
      yield { name: `${path}/${file}`, size: Number(size), mtime, body: createReadStream(place) }
    }
  }
}

const [folder = 'folder', port = '8188'] = process.argv.slice(2)
await mkdir(folder, { recursive: true })
const metaClient = await FolderMeta.open(join(folder, 'meta.db'))
const tsdbStore = new FolderShards(folder, metaClient)
const service = new Service({ metaClient, tsdbStore, port: Number(port), logger: console })
await service.open()
console.log(`listening on 127.0.0.1:${service.address?.port}`)
// Lets running requests end, for ten seconds at most.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void service.close())
