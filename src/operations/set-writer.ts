import { createHash } from 'node:crypto'
import type { Recipients } from '../age/index.ts'
import { SnapError } from '../errors.ts'
import { hashing } from '../io/hashing.ts'
import { streamOf } from '../io/once.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { endedProcess, thisProcess } from '../io/process-owner.ts'
import { ArchiveWriter } from '../portable/archive-writer.ts'
import { type Catalog, type CatalogFile, catalogPieces } from '../portable/catalog.ts'
import { clearCatalog, openedFiles } from '../portable/clear-catalog.ts'
import { encodeManifest, type ManifestEntry } from '../portable/manifest.ts'
import { encodeMetaFile } from '../portable/meta-file.ts'
import {
  archiveName,
  archiveTarName,
  catalogName,
  manifestName,
  metaName,
  openedName,
  sidecarName,
  storedName,
} from '../portable/names.ts'
import type { ReusableShard } from '../portable/reusable.ts'
import type { SetListing } from '../portable/sets.ts'
import { encodeSidecar } from '../portable/sidecar.ts'
import { takeSetName } from '../portable/target.ts'
import type { Staged, Store } from '../storage/index.ts'
import { copyPending } from './copy-pending.ts'
import { describeArchive, describeData, openStaged } from './describe-archive.ts'
import { FinishedNotes } from './finished-notes.ts'
import type { FindCompressor } from './igzip.ts'
import { publishAll } from './publish-all.ts'
import { retainAll } from './retain-all.ts'
import {
  type CatalogFacts,
  catalogShards,
  lastOfAll,
  manifestEntry,
  type SeenShard,
  type ShardFacts,
  type ShardToStage,
  type StagedArchive,
} from './set-parts.ts'
import { type FileToStage, type StagedFile, stageFile } from './stage-file.ts'

/** How a set is written. */
export interface SetWriterOptions {
  /** Whom it is encrypted to; without them it is not. */
  readonly recipients?: Recipients | undefined
  /** Finds what compresses archives, unless they are to be stored; default zlib. */
  readonly findCompressor?: FindCompressor | undefined
}

/**
 * Writes one set into a store. Everything has `.pending` names until {@link SetWriter.commit}, which gives the final
 * ones when all of it is whole, the manifest last.
 */
export class SetWriter {
  readonly name: string
  readonly #store: Store
  readonly #created: Date
  readonly #recipients: Recipients | undefined
  readonly #findCompressor: FindCompressor | undefined
  /** By the names that they are stored under. */
  readonly #staged = new Map<string, Staged>()
  /** By their names without encryption. */
  readonly #files = new Map<string, CatalogFile>()
  readonly #entries = new Map<bigint, ManifestEntry>()
  readonly #reused = new Map<bigint, ReusableShard>()
  readonly #notes: FinishedNotes

  private constructor(
    store: Store,
    name: string,
    { created, recipients, findCompressor }: { created: Date } & SetWriterOptions,
  ) {
    this.#store = store
    this.name = name
    this.#created = created
    this.#recipients = recipients
    this.#findCompressor = findCompressor
    this.#notes = new FinishedNotes(store, name)
  }

  /** Takes a name for a set begun now that nothing in the store has. */
  static async begin(
    store: Store,
    listing: SetListing,
    options: SetWriterOptions = {},
  ): Promise<SetWriter> {
    const created = new Date()
    const owner = JSON.stringify(thisProcess())
    const reserve = (name: string) => store.reserve(name, owner)
    try {
      const name = await takeSetName(reserve, created, listing.files.keys())
      return new SetWriter(store, name, { created, ...options })
    } catch (error) {
      await store.abandon()
      throw error
    }
  }

  /**
   * Compresses and stores the tar of a shard with the sidecar that describes it.
   * @param seen what was seen in the tar, asked for once it has ended
   */
  async stageShard(
    { shard, tar, ...how }: ShardToStage,
    seen: () => SeenShard,
    signal?: AbortSignal,
  ): Promise<StagedArchive> {
    const name = archiveName(this.name, shard.shardId)
    const writer = new ArchiveWriter(tar, {
      fileName: archiveTarName(this.name, shard.shardId),
      ...how,
      compressMember: how.compression === 'gzip' ? await this.#findCompressor?.() : undefined,
    })
    const sha256 = () => writer.summary.sha256
    const { staged, file } = await this.#stage({ name, body: writer, sha256 }, signal)
    try {
      const archive = writer.summary
      const { files, sums } = seen()
      const description = describeArchive(shard, { name, archive, files })
      const data = await sums?.finish(openStaged(staged, description, signal))
      this.#add(staged, file)
      this.#entries.set(shard.shardId, manifestEntry(shard, name, archive.tarSize))
      const sidecar = encodeSidecar({ ...description, ...(data && { data: describeData(data) }) })
      await this.#stageBytes(sidecarName(this.name, shard.shardId), [sidecar])
      return { shard, archive, files, data }
    } catch (error) {
      await this.unstageShard(shard.shardId)
      await staged.discard()
      throw error
    }
  }

  /** Names the archive of an older set, its sidecar with it, for a shard that has not changed since. */
  reuseShard(shard: ReusableShard): void {
    const { shardId, archive, tarSize, files } = shard
    this.#reused.set(shardId, shard)
    for (const file of files) this.#files.set(openedName(file.name), file)
    this.#entries.set(shardId, manifestEntry(shard, openedName(archive), tarSize))
  }

  /**
   * Stores once more what a run that died had stored of a shard, under names of this set.
   * @returns false if it is not what was noted of it
   */
  async takeOver(shard: ReusableShard, signal?: AbortSignal): Promise<boolean> {
    const { shardId, tarSize } = shard
    const name = archiveName(this.name, shardId)
    const copied = await copyPending(this.#store, shard, { name, signal })
    if (copied === undefined) return false
    const { staged, sha256 } = copied
    this.#add(staged, { name, size: staged.size, sha256 })
    this.#entries.set(shardId, manifestEntry(shard, name, tarSize))
    await this.#stageBytes(sidecarName(this.name, shardId), [copied.sidecar])
    return true
  }

  /** Notes that a staged shard is finished: should this run die, another one need not fetch it. Not of encrypted sets. */
  async noteFinished(shard: ShardFacts, clusterId: bigint): Promise<void> {
    const entry = this.#entries.get(shard.shardId)
    const [described] = catalogShards([shard], entry ? [entry] : [])
    if (described === undefined || this.#recipients !== undefined) return
    const files = this.#namesOf(shard.shardId).flatMap((name) => this.#files.get(name) ?? [])
    await this.#notes.write({ clusterId, shard: described, files })
  }

  /** The newest set that it shares archives with. */
  get parent(): string | undefined {
    return [...this.#reused.values()]
      .map(({ set }) => set)
      .sort()
      .at(-1)
  }

  /** Takes a shard out again, so that it may be staged anew. */
  async unstageShard(shardId: bigint): Promise<void> {
    const shared = this.#reused.get(shardId)?.files.map(({ name }) => name) ?? []
    const stored = this.#storedNamesOf(shardId)
    const gone = stored.flatMap((name) => this.#staged.get(name) ?? [])
    this.#reused.delete(shardId)
    for (const name of stored) this.#staged.delete(name)
    for (const name of [...stored, ...shared]) this.#files.delete(openedName(name))
    this.#entries.delete(shardId)
    await this.#notes.delete(shardId)
    for (const staged of gone) await staged.discard()
  }

  /**
   * Writes metastore, catalog and manifest and publishes the set.
   * @param metaBytes the metastore as the server sent it
   * @throws SnapError `E_DESTINATION`; then nothing of the set is left
   */
  async commit(metaBytes: Uint8Array, facts: CatalogFacts): Promise<void> {
    const catalogFile = catalogName(this.name)
    await this.#stageBytes(metaName(this.name), [encodeMetaFile(metaBytes)])
    const manifest = encodeManifest({
      meta: { fileName: metaName(this.name), size: metaBytes.length, unknown: {} },
      limited: false,
      files: [...this.#entries.values()].sort((a, b) => Number(a.shardId - b.shardId)),
      catalog: catalogFile,
      unknown: {},
    })
    await this.#stageBytes(manifestName(this.name), [manifest])
    const created = this.#created.toISOString()
    const { parent } = this
    // A clock that was set back meanwhile would make it less than nothing.
    const durationMs = Math.max(0, Date.now() - this.#created.getTime())
    const own = { set: this.name, created, durationMs, ...(parent && { parent }) }
    await this.#stageCatalog({
      ...facts,
      ...own,
      shards: catalogShards(facts.shards, [...this.#entries.values()]),
    })
    const shared = [...this.#reused.values()].flatMap(({ files }) => files.map(({ name }) => name))
    await retainAll(this.#store, shared)
    await publishAll(this.#store, lastOfAll([...this.#staged.values()], manifestName(this.name)))
    await this.#notes.deleteAll()
    await this.#endReservation()
  }

  /**
   * Removes everything of a set that was not published, its reservation included. What cannot be removed stays under its
   * `.pending` name: why the set is given up is more to say than that.
   */
  async discard(): Promise<void> {
    await Promise.allSettled([this.#notes.deleteAll()])
    await Promise.allSettled([...this.#staged.values()].map((staged) => staged.discard()))
    await Promise.allSettled([this.#endReservation()])
    await this.#store.abandon()
  }

  /** Leaves finished shards under their `.pending` names to a later run, removes the rest, and returns how many they are. */
  async leave(): Promise<number> {
    const { shardIds } = this.#notes
    if (shardIds.length === 0) {
      await this.discard()
      return 0
    }
    const rest = new Map(this.#staged)
    for (const name of shardIds.flatMap((id) => this.#storedNamesOf(id))) rest.delete(name)
    await Promise.allSettled([...rest.values()].map((staged) => staged.discard()))
    // This process may live on, its run does not.
    const owner = JSON.stringify(endedProcess())
    await Promise.allSettled([this.#store.write(this.name + PENDING_SUFFIX, owner)])
    return shardIds.length
  }

  #namesOf(shardId: bigint): string[] {
    return [archiveName(this.name, shardId), sidecarName(this.name, shardId)]
  }

  #storedNamesOf(shardId: bigint): string[] {
    const sealed = this.#recipients !== undefined
    return this.#namesOf(shardId).map((name) => storedName(name, { sealed }))
  }

  /** Stages the catalog; of an encrypted set all of it, encrypted, and then what of it is clear. */
  async #stageCatalog(facts: Omit<Catalog, 'files'>): Promise<void> {
    const name = catalogName(this.name)
    const catalog = { ...facts, files: openedFiles(this.#sortedFiles()) }
    if (this.#recipients !== undefined) await this.#stageBytes(name, catalogPieces(catalog))
    const clear =
      this.#recipients && clearCatalog(catalog, this.#sortedFiles(), this.#recipients.names)
    const pieces = catalogPieces(clear ?? catalog)
    this.#staged.set(name, await this.#store.stage(name, streamOf(pieces)))
  }

  #sortedFiles(): CatalogFile[] {
    return [...this.#files.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #endReservation(): Promise<void> {
    return this.#store.delete(this.name + PENDING_SUFFIX)
  }

  async #stageBytes(name: string, bytes: Iterable<Uint8Array>): Promise<void> {
    const hash = createHash('sha256')
    const sha256 = () => hash.digest('hex')
    const { staged, file } = await this.#stage({ name, body: hashing(bytes, hash), sha256 })
    this.#add(staged, file)
  }

  #stage(file: Omit<FileToStage, 'recipients'>, signal?: AbortSignal): Promise<StagedFile> {
    return stageFile(this.#store, { ...file, recipients: this.#recipients }, signal)
  }

  #add(staged: Staged, file: CatalogFile): void {
    const name = openedName(file.name)
    if (this.#files.has(name)) {
      throw new SnapError('E_FAILED', `${file.name} is written twice into set ${this.name}`)
    }
    this.#staged.set(file.name, staged)
    this.#files.set(name, file)
  }
}
