import type { AddressInfo, Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { GoJson } from '../protocol/index.ts'
import { answer } from './answers.ts'
import type { Answer, Conversation } from './context.ts'
import { PeerServer, type PeerServerOptions } from './peer-server.ts'
import { refuseWrites } from './read-only.ts'
import type { Opening } from './read-opening.ts'
import { serializer } from './serializer.ts'
import type { Logger, MetaClient, TSDBStore } from './stores.ts'
import { restoreShard, Uploads } from './uploads.ts'

/** What a {@link Service} serves, and where. */
export interface ServiceOptions extends PeerServerOptions {
  readonly metaClient: MetaClient
  readonly tsdbStore: TSDBStore
  /** Sent as JSON after the metastore. Default null, as influxd sends it. */
  readonly node?: GoJson | undefined
  /** Refuses metadata updates and uploads before it reads them. Default false: the stores decide. */
  readonly readOnly?: boolean | undefined
}

/**
 * The snapshotter service of influxd over any {@link MetaClient} and {@link TSDBStore}. Peers come through the listener
 * after {@link open}, or in this process through {@link handle} at any time.
 */
export class Service {
  readonly metaClient: MetaClient
  readonly tsdbStore: TSDBStore
  /** Sent as JSON after the metastore; may be set at any time. */
  node: GoJson
  readonly #readOnly: boolean
  readonly #uploads = new Uploads()
  readonly #serially = serializer()
  readonly #peers: PeerServer

  constructor(options: ServiceOptions) {
    this.metaClient = options.metaClient
    this.tsdbStore = options.tsdbStore
    this.node = options.node ?? null
    this.#readOnly = options.readOnly ?? false
    this.#peers = new PeerServer((peer, opening) => this.#answer(peer, opening), options)
  }

  /** Where connections come from, past the door if there is one. */
  get listener(): Server {
    return this.#peers.listener
  }

  /** Says from the next connection on what happens to `logger`. */
  withLogger(logger: Logger): void {
    this.#peers.withLogger(logger)
  }

  /** The address that is listened on, or undefined while none is. */
  get address(): AddressInfo | undefined {
    return this.#peers.address
  }

  /** The address without a door that is listened on, or undefined while none is. */
  get plainAddress(): AddressInfo | undefined {
    return this.#peers.plainAddress
  }

  /**
   * Takes connections from now on. A listener that does not listen yet is bound to host and port.
   * @throws SnapError `E_FAILED` if the address cannot be listened on
   */
  async open(): Promise<void> {
    await this.#peers.open()
  }

  /**
   * Takes the connections that were made until now and no more, waits for the running requests and breaks those that
   * go on for longer than `grace` ms (default 10 s). Always returns soon after that, even if a store does not stop.
   */
  async close(grace?: number): Promise<void> {
    await this.#peers.close(grace)
  }

  /** Serves one peer, over any duplex; returns when it is done. Errors go to the log and to the peer, never to the caller. */
  async handle(duplex: Duplex, name?: string): Promise<void> {
    await this.#peers.handle(duplex, name)
  }

  async #answer(peer: Conversation, opening: Opening): Promise<Answer> {
    const refusal = this.#readOnly ? refuseWrites(opening) : undefined
    if (refusal !== undefined) return refusal
    const { metaClient, tsdbStore, node } = this
    if ('shardId' in opening) {
      const { shardId } = opening
      await this.#uploads.run(shardId, async () => await restoreShard(shardId, peer, tsdbStore))
      return {}
    }
    const serially = this.#serially
    const context = { ...peer, metaClient, tsdbStore, node, serially }
    return await answer(context, opening.type, opening.request)
  }
}
