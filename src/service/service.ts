import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { ChunkReader } from '../io/chunk-reader.ts'
import { Connection } from '../io/connection.ts'
import { type GoJson, RequestType } from '../protocol/index.ts'
import { answer } from './answers.ts'
import type { Answer } from './context.ts'
import { DEFAULT_LIMITS, type ServiceLimits } from './limits.ts'
import { type Opening, readOpening } from './read-opening.ts'
import { serializer } from './serializer.ts'
import type { Logger, MetaClient, TSDBStore } from './stores.ts'
import { Uploads } from './uploads.ts'

/** What a {@link Service} serves, and where. */
export interface ServiceOptions {
  readonly metaClient: MetaClient
  readonly tsdbStore: TSDBStore
  /** Sent as JSON after the metastore. Default null, as influxd sends it. */
  readonly node?: GoJson | undefined
  /** A server to take connections from, instead of one of our own; closed with the service. */
  readonly listener?: Server | undefined
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 8088; 0 takes a free one. */
  readonly port?: number | undefined
  readonly logger?: Logger | undefined
  readonly limits?: Partial<ServiceLimits> | undefined
}

const SILENT: Logger = { info() {}, warn() {}, error() {} }
/** How long requests may take to end by themselves when the service closes, in ms. */
const CLOSE_GRACE = 10_000
/** Turns of the event loop after which a stream of new connections does not keep the service from closing. */
const MAX_TURNS = 1000

/**
 * The snapshotter service of influxd over any {@link MetaClient} and {@link TSDBStore}. Peers come through the listener
 * after {@link open}, or in this process through {@link handle} at any time.
 */
export class Service {
  readonly metaClient: MetaClient
  readonly tsdbStore: TSDBStore
  readonly listener: Server
  /** Sent as JSON after the metastore; may be set at any time. */
  node: GoJson
  readonly #bind: { readonly host: string; readonly port: number }
  readonly #limits: ServiceLimits
  readonly #uploads = new Uploads()
  readonly #serially = serializer()
  readonly #running = new Map<Connection, Promise<void>>()
  /** Connections that are open, and all that there ever were. */
  #accepted = 0
  #taken = 0
  #closed = false
  #logger: Logger

  constructor(options: ServiceOptions) {
    this.metaClient = options.metaClient
    this.tsdbStore = options.tsdbStore
    this.node = options.node ?? null
    this.listener = options.listener ?? createServer()
    this.#bind = { host: options.host ?? '127.0.0.1', port: options.port ?? 8088 }
    this.#logger = options.logger ?? SILENT
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
  }

  /** Says from now on what happens to `logger`. */
  withLogger(logger: Logger): void {
    this.#logger = logger
  }

  /** The address that is listened on, or undefined while none is. */
  get address(): AddressInfo | undefined {
    const address = this.listener.address()
    return typeof address === 'object' && address !== null ? address : undefined
  }

  /**
   * Takes connections from now on. A listener that does not listen yet is bound to host and port.
   * @throws SnapError `E_FAILED` if the address cannot be listened on
   */
  async open(): Promise<void> {
    if (!this.listener.listening) {
      const { host, port } = this.#bind
      try {
        const listening = once(this.listener, 'listening')
        this.listener.listen(port, host)
        await listening
      } catch (error) {
        throw listenError(`${host}:${port}`, error)
      }
    }
    this.listener.on('connection', this.#accept)
    this.listener.on('error', (error) => this.#logger.error(`listener: ${error.message}`))
  }

  /**
   * Takes the connections that were made until now and no more, waits for the running requests and breaks those that
   * go on for longer than `grace` ms. Always returns soon after that, even if a store does not stop.
   */
  async close(grace = CLOSE_GRACE): Promise<void> {
    await this.#takeWaiting()
    this.#closed = true
    this.listener.removeListener('connection', this.#accept)
    this.listener.close()
    await this.#settled(grace)
    const error = new SnapError('E_CUT', 'the service is closed', { retryable: true })
    for (const connection of this.#running.keys()) connection.fail(error)
    await this.#settled(this.#limits.stop)
  }

  /** Serves one peer, over any duplex; returns when it is done. Errors go to the log and to the peer, never to the caller. */
  async handle(duplex: Duplex, name = 'in process'): Promise<void> {
    const connection = new Connection(duplex, { name, idle: this.#limits.idle })
    if (this.#closed) {
      connection.fail(new SnapError('E_CONNECT', 'the service is closed'))
      return
    }
    const conversation = this.#converse(connection)
    this.#running.set(connection, conversation)
    try {
      await conversation
    } finally {
      this.#running.delete(connection)
      connection.close()
    }
  }

  readonly #accept = (socket: Socket): void => {
    const name = `${socket.remoteAddress}:${socket.remotePort}`
    this.#taken++
    if (this.#accepted >= this.#limits.connections) {
      this.#logger.warn(`${name}: refused, ${this.#accepted} connections are open`)
      socket.resetAndDestroy()
      return
    }
    // An upload is half-closed by the peer while we work, and its end is our answer; a listener of somebody
    // else's may be made to end both sides at once.
    socket.allowHalfOpen = true
    this.#accepted++
    void this.handle(socket, name).finally(() => {
      this.#accepted--
    })
  }

  /**
   * Takes what the system has accepted for us. Who sent and left, as influxd's restore does, may wait there still, and
   * closing the listener would drop it.
   */
  async #takeWaiting(): Promise<void> {
    let taken = -1
    for (let turns = 0; taken !== this.#taken && turns < MAX_TURNS; turns++) {
      taken = this.#taken
      // The first turn may have begun before the connection came.
      await turn()
      await turn()
    }
  }

  async #converse(connection: Connection): Promise<void> {
    const reader = new ChunkReader(connection.chunks(), 'request')
    let opening: Opening | undefined
    try {
      const reading = readOpening(reader)
      opening = await connection.within(this.#limits.header, 'request', reading)
      if (opening === undefined) return
      const { last, refusal } = await this.#answer(connection, reader, opening)
      if (refusal !== undefined && connection.inProcess) throw refusal
      await connection.end(last)
      this.#logAnswer(connection, opening, refusal)
    } catch (error) {
      await this.#answerError(connection, opening, error)
    }
    await this.#linger(connection, reader)
  }

  async #answer(connection: Connection, reader: ChunkReader, opening: Opening): Promise<Answer> {
    const { metaClient, tsdbStore, node } = this
    const limits = this.#limits
    if ('shardId' in opening) {
      const store = { tsdbStore, limit: limits.upload }
      await this.#uploads.run(opening.shardId, { connection, reader }, store)
      return {}
    }
    const serially = this.#serially
    const context = { metaClient, tsdbStore, node, connection, reader, limits, serially }
    return await answer(context, opening.type, opening.request)
  }

  #logAnswer(connection: Connection, opening: Opening, refusal: SnapError | undefined): void {
    const what = `${connection.name}: ${described(opening)}`
    if (refusal === undefined) this.#logger.info(`${what}: answered, ${connection.written} bytes`)
    else this.#logger.warn(`${what}: refused: ${refusal.message}`)
  }

  /**
   * Ends a conversation that failed. On the network an end without a byte is the protocol's error; where an end would be
   * taken for success, in the middle of an answer or after an upload, the connection is reset.
   */
  async #answerError(connection: Connection, opening: Opening | undefined, error: unknown) {
    const failure = asSnapError(error, 'E_FAILED', 'failed')
    this.#logger.error(`${connection.name}: ${described(opening)}: ${failure.message}`)
    const upload = opening !== undefined && 'shardId' in opening
    if (connection.inProcess || upload || connection.written > 0) connection.fail(failure)
    // A peer that is gone needs no end.
    else await connection.end().catch(() => {})
  }

  /** Reads what the peer still sends until it ends: closing with bytes unread would reset the connection under our answer. */
  async #linger(connection: Connection, reader: ChunkReader): Promise<void> {
    const drain = async () => {
      for await (const _chunk of reader.rest()) {
        // Nothing more is expected of the peer than its end.
      }
    }
    await connection.within(this.#limits.idle, 'end of the peer', drain()).catch(() => {})
  }

  async #settled(ms: number): Promise<void> {
    const over = new AbortController()
    const { signal } = over
    const running = Promise.allSettled(this.#running.values())
    await Promise.race([running, delay(ms, undefined, { signal })])
    over.abort()
  }
}

const TYPE_NAMES = Object.keys(RequestType)

/** Says what was asked, for the log. */
function described(opening: Opening | undefined): string {
  if (opening === undefined) return 'request'
  const name = TYPE_NAMES[opening.type] ?? `type ${opening.type}`
  if ('shardId' in opening) return `${name} ${opening.shardId}`
  const { BackupDatabase, BackupRetentionPolicy, ShardID } = opening.request
  const names = [BackupDatabase, BackupRetentionPolicy].filter((part) => part !== '')
  const shard = ShardID === 0n ? [] : [`shard ${ShardID}`]
  return [name, ...names.map((part) => JSON.stringify(part)), ...shard].join(' ')
}

function listenError(address: string, error: unknown): SnapError {
  const taken = errnoOf(error) === 'EADDRINUSE'
  const failure = asSnapError(error, 'E_FAILED', `${address}: cannot listen`)
  return new SnapError('E_FAILED', failure.message, {
    cause: error,
    hint: taken
      ? 'another program listens there, influxd perhaps: choose another with --bind'
      : undefined,
  })
}
