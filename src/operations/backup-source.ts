import { tmpdir } from 'node:os'
import { recode, SnapError } from '../errors.ts'
import type { Catalog } from '../portable/index.ts'
import type { SidecarData } from '../portable/sidecar.ts'
import type { Store } from '../storage/index.ts'
import { packShardTar } from '../tar/index.ts'
import { checkStoredHash } from './check-archive.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { openArchive, sidecarOf } from './open-archive.ts'
import {
  lostShards,
  placeOf,
  type Restorable,
  type RestorableShard,
  refuseMissing,
} from './restorable.ts'
import { entriesOf } from './restore-content.ts'
import { checkSelection, type Selection } from './selection.ts'
import type { SetScope } from './set-scope.ts'
import type {
  OpenShardOptions,
  ShardFiles,
  ShardRequest,
  ShardSource,
  ShardTar,
  SourceMetastore,
} from './shard-source.ts'
import { sourceFailure } from './source-errors.ts'
import { spoolShard } from './spool-shard.ts'

/** The shards of a backup, without any server. */
export class BackupSource implements ShardSource {
  readonly name: string
  readonly #store: Store
  readonly #tempDir: string
  readonly #backup: Restorable
  readonly #catalog: Catalog | undefined
  readonly #shards: ReadonlyMap<bigint, RestorableShard>
  readonly #lost: string[] = []
  /** Archives whose hash was right. */
  readonly #checked = new Set<string>()

  /** @param tempDir gets the files of shards that are merged out of several archives */
  constructor(store: Store, backup: Restorable, tempDir = tmpdir()) {
    this.name = placeOf(backup)
    this.#store = store
    this.#tempDir = tempDir
    this.#backup = backup
    this.#catalog = 'catalog' in backup.backup ? backup.backup.catalog : undefined
    this.#shards = new Map(backup.shards.map((shard) => [shard.shardId, shard]))
  }

  async readMetastore(selection: Selection): Promise<SourceMetastore> {
    const { data, backup } = this.#backup
    checkSelection(data, selection, this.name)
    refuseMissing(this.#backup, selection)
    const lost = lostShards(this.#backup, selection)
    this.#lost.push(...lost.map((shard) => `shard ${describeShard(shard)}: ${shard.reason}`))
    const host = this.#catalog?.server.host
    const present = new Set(this.#shards.keys())
    const scope = this.#catalog ?? this.#scope()
    return { data, metaBytes: backup.metaBytes, host, scope, present, absent: new Set() }
  }

  readShard({ shard }: ShardRequest, signal: AbortSignal): ShardTar {
    const body = packShardTar(entriesOf(this.#stored(shard), this.#tempDir, signal))
    return { body, isCut: false, isComplete: this.#catalog?.completeness === 'confirmed' }
  }

  /** Archives with seek points are read where they are, others spooled. */
  async openShard({ shard }: ShardRequest, options: OpenShardOptions): Promise<ShardFiles> {
    try {
      return await this.#open(this.#stored(shard), options)
    } catch (error) {
      throw sourceFailure(error, this)
    }
  }

  async #open(stored: RestorableShard, options: OpenShardOptions): Promise<ShardFiles> {
    const { tempDir, signal } = options
    const opened = await openArchive(this.#store, this.#backup, stored, signal)
    if (opened === undefined) return await spoolShard(entriesOf(stored, tempDir, signal), tempDir)
    for (const part of opened.isChecked ? [] : stored.parts) {
      if (this.#checked.has(part.name)) continue
      await checkStoredHash(this.#store, part, { signal })
      this.#checked.add(part.name)
    }
    return opened
  }

  async knownData(shard: ShardName, signal: AbortSignal): Promise<SidecarData | undefined> {
    const sidecar = await sidecarOf(this.#store, this.#backup, this.#stored(shard), signal)
    return sidecar?.data
  }

  async wasDropped(): Promise<boolean> {
    return false
  }

  damage(found: SnapError): SnapError {
    const { url } = this.#store
    return recode(found, 'E_INTEGRITY', found.message.startsWith(url) ? '' : `${url}: `)
  }

  /** Shards that the backup itself had to leave out. */
  losses(): readonly string[] {
    return this.#lost
  }

  /** Sets of influxd do not say what they were asked to hold. */
  #scope(): SetScope {
    const databases = new Set([...this.#shards.values()].map(({ database }) => database))
    return { kind: 'full', selection: { databases: [...databases] } }
  }

  #stored(shard: ShardName): RestorableShard {
    const stored = this.#shards.get(shard.shardId)
    if (stored !== undefined) return stored
    throw new SnapError('E_FAILED', `${this.name} has no shard ${describeShard(shard)}`)
  }
}
