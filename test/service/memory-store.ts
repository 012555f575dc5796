import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { clone } from '@bufbuild/protobuf'
import { SnapError } from '../../src/errors.ts'
import { type Data, encodeData, findDatabase } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'
import type { MetaClient, TSDBStore } from '../../src/service/index.ts'
import { packShardTar, parseEntryName, readShardTar } from '../../src/tar/index.ts'

interface StoredShard {
  readonly path: string
  readonly files: Map<string, { readonly bytes: Buffer; readonly mtime: Date }>
  enabled: boolean
}

/** A store of shards in memory, as somebody might embed one: synchronous where it can be. */
export class MemoryStore implements MetaClient, TSDBStore {
  readonly shards = new Map<bigint, StoredShard>()
  /** What was called that changes something, in order. */
  readonly changes: string[] = []
  #data: Data

  constructor(data: Data) {
    this.#data = data
  }

  addShard(path: string, files: Readonly<Record<string, Uint8Array | string>> = {}): void {
    const id = BigInt(path.slice(path.lastIndexOf('/') + 1))
    const mtime = new Date(1_600_000_000_000)
    const entries = Object.entries(files).map(
      ([name, content]) => [name, { bytes: Buffer.from(content), mtime }] as const,
    )
    this.shards.set(id, { path, files: new Map(entries), enabled: true })
  }

  marshalBinary(): Uint8Array {
    return encodeData(this.#data)
  }

  database(name: string) {
    return findDatabase(this.#data, name)
  }

  databases() {
    return this.#data.databases
  }

  data(): Data {
    return clone(DataSchema, this.#data)
  }

  async setData(data: Data): Promise<void> {
    await delay(5)
    this.changes.push('setData')
    this.#data = data
  }

  async backupShard(id: bigint, since: bigint, w: Writable, signal: AbortSignal): Promise<void> {
    const { path, files } = this.#known(id)
    const changed = [...files].filter(
      ([, { mtime }]) => BigInt(mtime.getTime()) * 1_000_000n > since,
    )
    const entries = changed.map(([file, { bytes, mtime }]) => {
      return { name: `${path}/${file}`, size: bytes.length, mtime, body: [bytes] }
    })
    await pipeline(packShardTar(entries), w, { signal })
  }

  async exportShard(id: bigint, start: bigint, end: bigint, w: Writable): Promise<void> {
    const { path } = this.#known(id)
    const body = [Buffer.from(`${start} ${end}`)]
    const size = body[0]?.length ?? 0
    const entries = [{ name: `${path}/range.tsm`, size, mtime: new Date(0), body }]
    for await (const chunk of packShardTar(entries)) w.write(chunk)
  }

  shard(id: bigint) {
    return this.shards.get(id)
  }

  shardRelativePath(id: bigint): string {
    return this.#known(id).path
  }

  setShardEnabled(id: bigint, enabled: boolean): void {
    this.#known(id).enabled = enabled
    this.changes.push(`${enabled ? 'enable' : 'disable'} ${id}`)
  }

  async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const { files } = this.#known(id)
    const added = new Map<string, { bytes: Buffer; mtime: Date }>()
    for await (const { name, mtime, body } of readShardTar(r, { signal, trailer: 'padded' })) {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      added.set(parseEntryName(name).file, { bytes: Buffer.concat(chunks), mtime })
    }
    for (const [file, stored] of added) files.set(file, stored)
    this.changes.push(`restore ${id}`)
  }

  createShard(database: string, retentionPolicy: string, id: bigint): void {
    this.addShard(`${database}/${retentionPolicy}/${id}`)
    this.changes.push(`create ${id}`)
  }

  deleteShard(_database: string, _retentionPolicy: string, id: bigint): void {
    this.shards.delete(id)
    this.changes.push(`delete ${id}`)
  }

  #known(id: bigint): StoredShard {
    const shard = this.shards.get(id)
    if (shard === undefined) throw new SnapError('E_SOURCE', `shard ${id} is not here`)
    return shard
  }
}
