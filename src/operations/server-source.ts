import type { Client, HttpClient } from '../client/index.ts'
import { recode, SnapError } from '../errors.ts'
import { type Data, decodeData, isPattern, listShards } from '../meta/index.ts'
import {
  encodeMetastoreFrame,
  encodeResponse,
  type MetastoreFrame,
  parseShardPath,
} from '../protocol/index.ts'
import { packShardTar, readShardTar, takeStatement } from '../tar/index.ts'
import { confirmEmpty } from './confirm-empty.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { type Question, readTwice } from './read-twice.ts'
import { checkSelection, type Selection } from './selection.ts'
import { abilitiesOf, NO_ABILITIES, type OpenServer } from './server.ts'
import { type HttpPlace, openHttp } from './server-http.ts'
import type {
  OpenShardOptions,
  ShardFiles,
  ShardRequest,
  ShardSource,
  ShardState,
  ShardTar,
  SourceMetastore,
} from './shard-source.ts'
import { counted, sourceErrors, sourceFailure } from './source-errors.ts'
import { spoolShard } from './spool-shard.ts'

/** How our service understands that no time was said. */
const MIN_INT64 = -(2n ** 63n)

/** The shards of a server, or of a data directory that is served in this process. */
export class ServerSource implements ShardSource {
  readonly name: string
  readonly #server: OpenServer
  readonly #client: Client
  #abilities = NO_ABILITIES
  readonly #lost: string[] = []

  constructor(server: OpenServer) {
    this.name = server.name
    this.#server = server
    this.#client = server.client
  }

  /** Reads the metastore and the list of shards and, if a shard was born between the two, the metastore again. */
  async readMetastore(selection: Selection, signal: AbortSignal): Promise<SourceMetastore> {
    const { name } = this
    const first = await this.#readFrame(signal)
    const firstData = this.#decode(first.meta)
    checkSelection(firstData, selection, name)
    this.#abilities = abilitiesOf(first.node)
    const present = await this.#readPresent(selection, signal)
    const known = new Set(shardIds(firstData))
    const isBehind = [...present].some((id) => !known.has(id))
    const metaBytes = isBehind ? (await this.#readFrame(signal)).meta : first.meta
    const data = isBehind ? this.#decode(metaBytes) : firstData
    const absent = new Set(shardIds(data).filter((id) => !present.has(id)))
    return { data, metaBytes, host: name, present, absent }
  }

  async #readFrame(signal: AbortSignal): Promise<MetastoreFrame> {
    return await this.#askSurely({
      what: `metastore of ${this.name}`,
      ask: () => this.#client.metastoreBytes(signal),
      bytesOf: encodeMetastoreFrame,
    })
  }

  /** Reads which shards the server has. */
  async #readPresent(
    { databases = [] }: Selection,
    signal: AbortSignal,
  ): Promise<ReadonlySet<bigint>> {
    const database = onlyOne(databases)
    const { Paths } = await this.#askSurely({
      what: `list of shards of ${this.name}`,
      ask: () => this.#client.databaseInfo(database, signal),
      bytesOf: encodeResponse,
    })
    try {
      return new Set(Paths.map((path) => parseShardPath(path).shardId))
    } catch (error) {
      throw error instanceof SnapError ? recode(error, error.code, `${this.name}: `) : error
    }
  }

  /** What comes out of this process needs no second answer: nothing can turn over on the way. */
  async #askSurely<T>(question: Question<T>): Promise<T> {
    return this.#isHere ? await question.ask() : await readTwice(question)
  }

  /** True for a data directory that is served in this process. */
  get #isHere(): boolean {
    return this.#server.openShard !== undefined
  }

  #decode(metaBytes: Uint8Array): Data {
    try {
      return decodeData(metaBytes)
    } catch (error) {
      throw sourceFailure(error, this)
    }
  }

  readShard({ shard, range, since }: ShardRequest, signal: AbortSignal): ShardTar {
    const { exactExport, statement } = this.#abilities
    const isCut = range !== undefined && exactExport
    const ask = () =>
      isCut
        ? this.#client.shardExport({ ...shard, ...range, statement }, signal)
        : this.#client.shardBackup({ ...shard, since, statement }, signal)
    const what = `shard ${describeShard(shard)}`
    if (!statement) return { body: confirmEmpty(ask(), ask, what), isCut, isComplete: false }
    const asked = isCut ? range : { since: since ?? MIN_INT64 }
    const tar = readShardTar(ask(), { name: what, signal })
    let stated: ShardState | undefined
    const hashed = this.#server.directory === undefined
    const expected = { what, shard, asked, hashed }
    const entries = takeStatement(tar, expected, ({ lost, state, shape }) => {
      this.#lost.push(...lost.map((line) => `shard ${shard.shardId}: ${line}`))
      // A shard that has lost something is not known by its state: every set has to say so.
      const isSound = lost.length === 0
      if (isSound && state !== undefined && shape !== undefined) stated = { state, shape }
    })
    return { body: packShardTar(entries), isCut, isComplete: true, state: () => stated }
  }

  /** Of a stock server nothing is known: undefined. */
  async readStates(
    { databases = [] }: Selection,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<bigint, ShardState> | undefined> {
    if (!this.#abilities.state) return undefined
    const database = onlyOne(databases)
    const { Paths, States = [] } = await this.#client.shardStates(database, signal)
    const ids = Paths.map((path) => parseShardPath(path).shardId)
    return new Map(
      States.map(({ State: state, Shape: shape }, i) => [ids[i] ?? 0n, { state, shape }]),
    )
  }

  /** Of a server on the network nothing is known: undefined. */
  async readSizes(ids: readonly bigint[], signal: AbortSignal) {
    return await this.#server.readSizes?.(ids, signal)
  }

  /** Files of a data directory are read where they are; those of a server are spooled. */
  async openShard(request: ShardRequest, options: OpenShardOptions): Promise<ShardFiles> {
    const { throttle, onBytes, tempDir, signal } = options
    const { shard } = request
    if (this.#server.openShard) return await this.#server.openShard(shard.shardId, signal)
    const { body } = this.readShard(request, signal)
    const received = counted(sourceErrors(throttle(body, signal), this), onBytes)
    const name = `shard ${describeShard(shard)}`
    try {
      return await spoolShard(readShardTar(received, { name, signal }), tempDir)
    } catch (error) {
      throw sourceFailure(error, this)
    }
  }

  /**
   * Opens the HTTP API of a server that does not say itself whether a shard is complete: the place that is named, or the
   * usual one if it proves to be the same server.
   */
  async openHttp(place: HttpPlace, signal: AbortSignal): Promise<HttpClient | undefined> {
    if (this.#isHere) return undefined
    try {
      return await openHttp(this.#server, place, signal)
    } catch (error) {
      if (place.url !== undefined || signal.aborted) throw error
      return undefined
    }
  }

  async wasDropped({ shardId }: ShardName, signal: AbortSignal): Promise<boolean> {
    const data = await this.#client.metastoreBackup(signal)
    return !listShards(data).some(({ shard }) => shard.id === shardId)
  }

  /** A cut or damaged answer may be right the next time. */
  damage(found: SnapError): SnapError {
    const { name } = this
    const message = found.message.startsWith(name) ? found.message : `${name}: ${found.message}`
    const hint = this.#isHere ? DIRECTORY_HINT : SERVER_HINT
    return new SnapError('E_SOURCE_DAMAGED', message, {
      cause: found,
      hint: found.hint ?? hint,
      retryable: true,
    })
  }

  losses(): readonly string[] {
    return [...new Set([...this.#server.losses(), ...this.#lost])]
  }
}

const SERVER_HINT = "the server's own file may be damaged, or the connection was cut: see its log"
const DIRECTORY_HINT =
  'the file on the disk is damaged: put back a copy of it; `snap backup --skip-errors` takes the shards that are whole'

function shardIds(data: Data): bigint[] {
  return listShards(data).map(({ shard }) => shard.id)
}

/** The one database that is named; a pattern may stand for several. */
function onlyOne([first = '', ...others]: readonly string[]): string {
  return others.length > 0 || isPattern(first) ? '' : first
}
