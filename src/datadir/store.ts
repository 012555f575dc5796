import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { SnapError } from '../errors.ts'
import { pour } from '../io/pour.ts'
import { recycling } from '../io/recycled.ts'
import type { Asked } from '../tar/statement.ts'
import type { WalReport } from '../wal/to-tsm.ts'
import type { DataDirectoryPaths } from './config.ts'
import { makeShard, unmakeShard } from './create-shard.ts'
import { type InstallTarget, installShard, installStaged } from './install.ts'
import {
  directoryInside,
  namesIn,
  REPLACING_FILE,
  type ShardLocation,
  STAGING_DIRECTORY,
  shardParts,
  shardRelativePath,
} from './layout.ts'
import { type ListedShard, listShardsOnDisk } from './listed-shards.ts'
import type { MetaFile, Permit } from './meta-file.ts'
import { replaceShard } from './replace.ts'
import { packExport } from './shard-export.ts'
import { type OpenShard, openShardFiles } from './shard-files.ts'
import { areFiles, readShardSize, readShardState, type ShardState, stateOf } from './shard-state.ts'
import { packSnapshot, type ShardTarOptions } from './shard-tar.ts'
import { findPlace, findShard } from './shards.ts'
import { openSnapshot, type ShardDirectories, type ShardSnapshot } from './snapshot.ts'
import {
  type NewShardFile,
  type StagedFile,
  type StagedFiles,
  stageFiles,
  stageNamed,
  stageUpload,
  type WriteFiles,
} from './stage.ts'
import { lossesOf } from './wal-losses.ts'

/** Where the store says what happens: `console` and most loggers have this shape. */
export interface Logger {
  info(message: string): void
  warn(message: string): void
}

/** What the store works with. */
export interface ShardStoreOptions {
  readonly paths: DataDirectoryPaths
  readonly metaFile: MetaFile
  /** Asked before every change. */
  readonly permit: Permit
  /** Gets temporary files while a WAL is read or a file filtered. */
  readonly tempDir: string
  readonly logger: Logger
  /** Told when acknowledged points are missing from what is sent: their place in the WAL is damaged. */
  readonly onLoss: (shardId: bigint, message: string) => void
  /** What is sent stays in this process: statements need no SHA-256 of it. */
  readonly sendsWithin: boolean
}

type Pack = (snapshot: ShardSnapshot, options: ShardTarOptions) => AsyncIterable<Uint8Array>

/** What stands in the directories of a shard. */
export interface ShardStanding extends ShardState {
  /** Of its data directory, whatever they name. */
  readonly names: readonly string[]
  /** What a run that was killed has left: files being replaced, see {@link replaceShard}, or files that were staged. */
  readonly left: 'replacing' | 'staged' | undefined
}

/** The shards of a data directory, as the service wants them. */
export class ShardStore {
  readonly #options: ShardStoreOptions

  constructor(options: ShardStoreOptions) {
    this.#options = options
  }

  /** Writes the files of a shard that changed after `since`, see {@link packSnapshot}, and leaves `w` open. */
  async backupShard(
    id: bigint,
    since: bigint,
    w: Writable,
    signal: AbortSignal,
    statement = false,
  ): Promise<void> {
    const pack: Pack = (snapshot, options) => packSnapshot(snapshot, since, options)
    await this.#send(id, pack, { w, signal, asked: statement ? { since } : undefined })
  }

  /** Writes the points of a shard from `start` to `end`, see {@link packExport}, and leaves `w` open. */
  async exportShard(
    id: bigint,
    start: bigint,
    end: bigint,
    w: Writable,
    signal: AbortSignal,
    statement = false,
  ): Promise<void> {
    const range = { minTime: start, maxTime: end }
    const pack: Pack = (snapshot, options) => packExport(snapshot, range, options)
    await this.#send(id, pack, { w, signal, asked: statement ? { start, end } : undefined })
  }

  /** Opens the files of a shard as they are now, see {@link openShardFiles}. */
  async openShard(id: bigint, signal: AbortSignal): Promise<OpenShard> {
    const { tempDir } = this.#options
    const snapshot = await this.#snapshot(await this.#locate(id), signal)
    const lost: string[] = []
    const onWal = (report: WalReport) => void lost.push(...this.#reportWal(id, report))
    return { ...(await openShardFiles(snapshot, { tempDir, onWal, signal })), lost }
  }

  /** Returns where the shard is, or `undefined` if it is not on this disk. */
  async shard(id: bigint): Promise<ShardLocation | undefined> {
    const data = await this.#options.metaFile.data()
    return await findShard(data, this.#options.paths.dataDir, id)
  }

  /** Returns those of the shards that are on this disk, and their state now if that is asked, see {@link listShardsOnDisk}. */
  async listShards(ids: readonly bigint[], stated: boolean): Promise<Map<bigint, ListedShard>> {
    const { paths, metaFile } = this.#options
    return await listShardsOnDisk(ids, { paths, data: await metaFile.data(), stated })
  }

  /** Returns how many bytes the files of shards are now, WAL included; those that are not on this disk are left out. */
  async readSizes(
    ids: readonly bigint[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<bigint, number>> {
    const sizes = new Map<bigint, number>()
    for (const id of ids) {
      signal.throwIfAborted()
      const location = await this.shard(id)
      if (location === undefined) continue
      sizes.set(id, await readShardSize(await this.#directories(location)))
    }
    return sizes
  }

  /** Returns what the shard is made of now; undefined if it is not on this disk. */
  async standing(id: bigint): Promise<ShardStanding | undefined> {
    const location = await this.shard(id)
    if (location === undefined) return undefined
    const directories = await this.#directories(location)
    const state = await readShardState(directories)
    const names = await namesIn(directories.dataPath)
    const isStaged = names.includes(STAGING_DIRECTORY)
    const left = names.includes(REPLACING_FILE) ? 'replacing' : isStaged ? 'staged' : undefined
    return { ...state, names, left }
  }

  /** Returns the shard's path below the data directory, `database/policy/id`. */
  async shardRelativePath(id: bigint): Promise<string> {
    return shardRelativePath(await this.#locate(id))
  }

  /**
   * Refuses if the shard may not be changed; a directory has nothing else to switch off or on. A shard that is in the metastore
   * alone is made before an upload, as influxd makes it before a write: who made its database was killed before all shards were.
   */
  async setShardEnabled(id: bigint, enabled: boolean): Promise<void> {
    if (!enabled) {
      await this.#options.permit()
      await this.#makeMissing(id)
    }
    await this.#locate(id)
  }

  /** Adds the files of a tar to the shard, all or none, see {@link installShard}. */
  async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const location = await this.#locate(id)
    const target = { ...(await this.#directories(location)), permit: this.#options.permit }
    const tar = recycling(r)
    await installShard(target, (place) => stageUpload(tar, { ...place, location, signal }))
  }

  /** As {@link restoreShard}, of files that need no tar; the shard is made if it is in the metastore alone. */
  async restoreFiles(
    shard: ShardLocation,
    files: AsyncIterable<NewShardFile>,
    signal: AbortSignal,
  ): Promise<void> {
    const target = await this.#target(shard.shardId, shard)
    await installShard(target, (place) => stageNamed(files, { ...place, signal }))
  }

  /** As {@link restoreFiles}, of files that are staged already, see {@link installStaged}. */
  async adoptFiles(shard: ShardLocation, files: StagedFiles): Promise<void> {
    await installStaged(await this.#target(shard.shardId, shard), files)
  }

  /** Tells whether the shard holds these files, unchanged since they were staged, and nothing else. */
  async holdsStaged(id: bigint, files: readonly StagedFile[]): Promise<boolean> {
    return await areFiles(await this.#directories(await this.#locate(id)), files)
  }

  /** Adds TSM files to the shard, all or none, see {@link installShard}; the shard is made if it is in the metastore alone. */
  async addFiles(id: bigint, write: WriteFiles): Promise<void> {
    await installShard(await this.#target(id), (place) => stageFiles(write, place))
  }

  /**
   * Puts TSM files in the place of all that the shard has, see {@link replaceShard}.
   * @param state the shard's, when what is written was read
   */
  async replaceFiles(id: bigint, write: WriteFiles, state: string): Promise<void> {
    const { permit } = this.#options
    const target = { ...(await this.#directories(await this.#locate(id))), permit, state }
    await replaceShard(target, (place) => stageFiles(write, place))
  }

  /** Makes an empty shard, see {@link makeShard}. */
  async createShard(database: string, retentionPolicy: string, id: bigint): Promise<void> {
    const { paths, permit } = this.#options
    await permit()
    await makeShard(paths, { database, retentionPolicy, shardId: id })
  }

  /** Takes {@link createShard} back, see {@link unmakeShard}. */
  async deleteShard(database: string, retentionPolicy: string, id: bigint): Promise<void> {
    const { paths, permit } = this.#options
    await permit()
    await unmakeShard(paths, { database, retentionPolicy, shardId: id })
  }

  /** Returns where files of a shard go, which is made if it is in the metastore alone, and must be the `expected` one. */
  async #target(id: bigint, expected?: ShardLocation): Promise<InstallTarget> {
    await this.setShardEnabled(id, false)
    const location = await this.#locate(id)
    const is = shardRelativePath(location)
    if (expected !== undefined && is !== shardRelativePath(expected)) {
      const message = `shard ${id} is ${is}, expected ${shardRelativePath(expected)}`
      throw new SnapError('E_DESTINATION', message)
    }
    return { ...(await this.#directories(location)), permit: this.#options.permit }
  }

  async #locate(id: bigint): Promise<ShardLocation> {
    const location = await this.shard(id)
    if (location !== undefined) return location
    throw new SnapError('E_SOURCE', `shard ${id} is not in ${this.#options.paths.dataDir}`)
  }

  async #makeMissing(id: bigint): Promise<void> {
    const { paths, metaFile } = this.#options
    if ((await this.shard(id)) !== undefined) return
    const place = findPlace(await metaFile.data(), id)
    if (place !== undefined) await makeShard(paths, place)
  }

  async #snapshot(location: ShardLocation, signal: AbortSignal): Promise<ShardSnapshot> {
    const { logger } = this.#options
    const snapshot = await openSnapshot(await this.#directories(location), signal)
    if (!snapshot.exact) logger.info(`shard ${location.shardId}: flushed while it was opened`)
    return snapshot
  }

  async #directories(location: ShardLocation): Promise<ShardDirectories> {
    const { paths } = this.#options
    const parts = shardParts(location)
    const walPath = (await directoryInside(paths.walDir, parts)) ?? join(paths.walDir, ...parts)
    return { dataPath: join(paths.dataDir, ...parts), walPath }
  }

  async #send(
    id: bigint,
    pack: Pack,
    { w, signal, asked }: { w: Writable; signal: AbortSignal; asked: Asked | undefined },
  ): Promise<void> {
    const { tempDir, sendsWithin } = this.#options
    const location = await this.#locate(id)
    const snapshot = await this.#snapshot(location, signal)
    const lost: string[] = []
    try {
      const onWal = (report: WalReport) => void lost.push(...this.#reportWal(id, report))
      const tar = pack(snapshot, {
        ...{ location, tempDir, onWal, sendsWithin, signal },
        ...(asked && {
          statement: { asked, ...stateOf(snapshot), lost: () => lost, hashed: !sendsWithin },
        }),
      })
      await pour(tar, w, signal)
    } finally {
      await snapshot.close()
    }
  }

  /** Says what of the WAL is lost, and returns it, one line each. */
  #reportWal(id: bigint, report: WalReport): string[] {
    const { logger, onLoss } = this.#options
    const messages = lossesOf(report)
    for (const message of messages) {
      logger.warn(`shard ${id}: ${message}`)
      onLoss(id, message)
    }
    return messages
  }
}
