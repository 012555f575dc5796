import { SnapError } from '../errors.ts'
import type { Connection, ReadOptions } from '../io/connection.ts'
import { type Data, decodeData } from '../meta/index.ts'
import {
  decodeMetastoreFrame,
  decodeResponse,
  encodeOpening,
  encodeUploadOpening,
  MAX_FRAME_SIZE,
  MAX_SHARD_IDS_SIZE,
  type MetastoreFrame,
  type Request,
  RequestType,
  type Response,
  toShardId,
} from '../protocol/index.ts'
import { packShardTar, readShardTar } from '../tar/index.ts'
import { answerOf, collect } from './answer.ts'
import { dial, type Host, nameOf } from './dial.ts'
import { decodeFrom, emptyAnswer, emptyShard, longAnswer } from './failures.ts'
import {
  changedShardIds,
  type MetaUpdateRequest,
  notRepeatable,
  readPayload,
} from './meta-update.ts'
import type { ClientOptions, ShardBackupRequest, ShardExportRequest } from './options.ts'
import { backupRequest, exportRequest } from './shard-request.ts'
import { renameEntries, sendTar } from './upload.ts'

/** The longest answer to an info request, in bytes. */
const MAX_INFO_SIZE = 64 * 1024 * 1024

const SECOND = 1000
const MINUTE = 60 * SECOND

/**
 * A client of the snapshotter service of influxd or `snap serve`. Every method makes one connection for its one request
 * and closes it; nothing is tried twice. All of them throw SnapError: `E_CONNECT`, `E_TIMEOUT`, `E_CUT` (both retryable
 * where repeating is safe), `E_PROTOCOL`, `E_SOURCE` for an empty answer, and what the signal was aborted with.
 */
export class Client {
  readonly #host: Host
  readonly #security: Pick<ClientOptions, 'tls' | 'token'>
  readonly #deadlines: { connect: number; firstByte: number; idle: number; uploadEnd: number }

  readonly #reused: boolean

  /**
   * @param host `host:port`, `host` or `[v6]:port`, or a function that gives a connection inside the process
   * @throws SnapError `E_USAGE` for a token without TLS, or TLS inside the process
   */
  constructor(host: Host, options: ClientOptions = {}) {
    const { tls, token } = options
    if (tls === undefined ? token !== undefined : typeof host !== 'string') {
      throw new SnapError('E_USAGE', 'a token goes with TLS, and TLS with a host')
    }
    this.#host = host
    this.#security = { tls, token }
    this.#reused = options.reused ?? false
    this.#deadlines = {
      connect: options.connect ?? 10 * SECOND,
      firstByte: options.firstByte ?? 10 * MINUTE,
      idle: options.idle ?? 2 * MINUTE,
      uploadEnd: options.uploadEnd ?? 30 * MINUTE,
    }
  }

  /** Fetches the metastore as bytes, just as the server sent it, and the server's node as JSON. */
  async metastoreBytes(signal?: AbortSignal): Promise<MetastoreFrame> {
    return await this.#ask({ Type: RequestType.MetastoreBackup }, signal, {
      what: 'the metastore',
      hint: 'the server failed: look at its log',
      limit: MAX_FRAME_SIZE,
      decode: decodeMetastoreFrame,
    })
  }

  /**
   * Fetches the metastore.
   * @throws SnapError `E_SOURCE_DAMAGED` too, if it does not decode
   */
  async metastoreBackup(signal?: AbortSignal): Promise<Data> {
    const { meta } = await this.metastoreBytes(signal)
    try {
      return decodeData(meta)
    } catch (error) {
      if (!(error instanceof SnapError)) throw error
      const message = `${nameOf(this.#host)}: received ${error.message}`
      throw new SnapError('E_SOURCE_DAMAGED', message, {
        cause: error,
        hint: 'it was damaged on the way, or the server is broken: look at its log',
      })
    }
  }

  /** Fetches the paths of the shards of a database, or of all. */
  async databaseInfo(database = '', signal?: AbortSignal): Promise<Response> {
    const what = database === '' ? 'all databases' : `database ${JSON.stringify(database)}`
    const request = { Type: RequestType.DatabaseInfo, BackupDatabase: database }
    return await this.#askInfo(request, what, signal)
  }

  /** Fetches the paths of the shards of a database, or of all, with their states: asked of `snap serve` alone. */
  async shardStates(database = '', signal?: AbortSignal): Promise<Response> {
    const request = {
      Type: RequestType.DatabaseInfo,
      BackupDatabase: database,
      SnapState: 1,
    } as const
    return await this.#askInfo(request, 'all shards', signal)
  }

  /** Fetches the paths of the shards of a retention policy. */
  async retentionPolicyInfo(
    database: string,
    retentionPolicy: string,
    signal?: AbortSignal,
  ): Promise<Response> {
    const request = {
      Type: RequestType.RetentionPolicyInfo,
      BackupDatabase: database,
      BackupRetentionPolicy: retentionPolicy,
    }
    const what = `retention policy ${JSON.stringify(`${database}.${retentionPolicy}`)}`
    return await this.#askInfo(request, what, signal)
  }

  /**
   * Fetches the files of a shard as the bytes of a tar, as they come and unchecked: give them to `readShardTar`. Stopping
   * early closes the connection.
   */
  shardBackup(selection: ShardBackupRequest, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#fetchShard(backupRequest(selection), signal)
  }

  /** Fetches the blocks of a shard that touch a time range; otherwise as {@link shardBackup}. */
  shardExport(selection: ShardExportRequest, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#fetchShard(exportRequest(selection), signal)
  }

  /**
   * Imports databases of a metastore into the server's and returns the map of uploaded to actual shard ids. `Type` is
   * set, and `UploadSize` too if it is left out.
   * @param stream the metastore in protobuf
   * @throws SnapError `E_DESTINATION` if the server changed nothing or does not say; `E_USAGE` if `stream` is not of
   *   `UploadSize` bytes. Only a failure to connect is retryable.
   */
  async updateMeta(
    request: MetaUpdateRequest,
    stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Map<bigint, bigint>> {
    const payload = await readPayload(stream, request.UploadSize)
    const opening = encodeOpening({
      ...request,
      Type: RequestType.MetaStoreUpdate,
      UploadSize: payload.length,
    })
    const connection = await this.#dial(signal)
    try {
      // One write: servers up to 1.8.8 take the payload from a single read.
      const all = Buffer.concat([opening, payload])
      const answer = await this.#exchange(connection, all, MAX_SHARD_IDS_SIZE)
      return changedShardIds(connection.name, answer)
    } catch (error) {
      throw notRepeatable(error, payload.length)
    }
  }

  /**
   * Uploads a shard's tar into another shard and waits until the server has finished, which does not say that it
   * succeeded. The tar is read strictly and its entries renamed for the target. The server hears nothing of a tar that
   * fails in its first 64 KiB; one that fails later resets the connection.
   * @param destinationDatabase new database name, or empty for the one in the tar
   * @param restoreRetention new policy name, or empty for the one in the tar
   * @throws SnapError `E_CUT` or `E_FORMAT` for a tar that is not whole, `E_DESTINATION` if the server stopped early
   */
  async uploadShard(
    shardId: bigint | number,
    newShardId: bigint | number,
    destinationDatabase: string,
    restoreRetention: string,
    tar: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const target = {
      shardId: toShardId(shardId),
      newShardId: toShardId(newShardId),
      destinationDatabase,
      restoreRetention,
    }
    const entries = readShardTar(tar, { name: `shard ${shardId}`, signal })
    await sendTar(packShardTar(renameEntries(entries, target)), {
      open: async () => await this.#dial(signal),
      opening: encodeUploadOpening(target.newShardId),
      uploadEnd: this.#deadlines.uploadEnd,
    })
  }

  /**
   * Sends any request and gives the answer's bytes as they come and unchecked; there are none if the server failed.
   * Stopping early closes the connection.
   * @param payload what follows the request; `UploadSize` must be its length
   */
  ask(
    request: Request,
    {
      payload,
      signal,
    }: { readonly payload?: Uint8Array; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#send(request, { ...(payload && { payload }), signal })
  }

  async *#send(
    request: Request,
    { payload, signal, reused }: AskOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const opening = encodeOpening(request)
    const connection = await this.#dial(signal)
    try {
      // One write: servers up to 1.8.8 take the payload from a single read.
      await connection.write(payload === undefined ? opening : Buffer.concat([opening, payload]))
      yield* answerOf(connection, this.#deadlines.firstByte, { reused })
    } finally {
      connection.close()
    }
  }

  async #askInfo(request: Request, what: string, signal: AbortSignal | undefined) {
    const hint = `${what} is unknown there, or the server failed: look at its log`
    return await this.#ask(request, signal, {
      what: `the shards of ${what}`,
      hint,
      limit: MAX_INFO_SIZE,
      decode: decodeResponse,
    })
  }

  async #ask<T>(request: Request, signal: AbortSignal | undefined, answer: Answer<T>): Promise<T> {
    const connection = await this.#dial(signal)
    const bytes = await this.#exchange(connection, encodeOpening(request), answer.limit)
    if (bytes.length === 0) throw emptyAnswer(connection.name, answer.what, answer.hint)
    return decodeFrom(connection.name, bytes, answer.decode)
  }

  async *#fetchShard(
    request: Request,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let empty = true
    for await (const chunk of this.#send(request, { signal, reused: this.#reused })) {
      empty = false
      yield chunk
    }
    if (empty) throw emptyShard(nameOf(this.#host), request.ShardID ?? 0n)
  }

  /** Sends `request`, returns the whole answer and closes the connection. */
  async #exchange(connection: Connection, request: Uint8Array, limit: number): Promise<Uint8Array> {
    try {
      await connection.write(request)
      const chunks = answerOf(connection, this.#deadlines.firstByte)
      return await collect(chunks, limit, () => longAnswer(connection.name, limit))
    } finally {
      connection.close()
    }
  }

  async #dial(signal: AbortSignal | undefined): Promise<Connection> {
    const { connect, idle } = this.#deadlines
    return await dial(this.#host, { connect, idle, signal, ...this.#security })
  }
}

/** How a request is sent and its answer read. */
interface AskOptions extends ReadOptions {
  readonly payload?: Uint8Array
  readonly signal?: AbortSignal | undefined
}

/** What an answer should be. */
interface Answer<T> {
  readonly what: string
  /** What an empty one can mean. */
  readonly hint: string
  readonly limit: number
  readonly decode: (bytes: Uint8Array) => T
}
