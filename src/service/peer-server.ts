import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { messageOf, SnapError } from '../errors.ts'
import { Connection } from '../io/connection.ts'
import { type Answerer, converse, type Visitor } from './converse.ts'
import type { Door } from './door.ts'
import { addressOf, type Bind, type Entrance, listenAt } from './entrance.ts'
import { type Budgets, budgetsOf, DEFAULT_LIMITS, type ServiceLimits } from './limits.ts'
import { BLIND, type Observer } from './observer.ts'
import type { Logger } from './stores.ts'

/** Where peers come from, and what they may take. */
export interface PeerServerOptions {
  /** A server to take connections from, instead of one of our own; closed with the service. */
  readonly listener?: Server | undefined
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 8088; 0 takes a free one. */
  readonly port?: number | undefined
  /** What connections have to pass. Default: nothing. */
  readonly door?: Door | undefined
  /** A second address that has no door, for peers of this machine. */
  readonly plain?: Bind | undefined
  readonly logger?: Logger | undefined
  /** Default: nobody counts. */
  readonly observer?: Observer | undefined
  readonly limits?: Partial<ServiceLimits> | undefined
}

/** A peer that is being served. */
interface Peer {
  /** Breaks it off. */
  fail(error: SnapError): void
}

const SILENT: Logger = { info() {}, warn() {}, error() {} }
/** How long requests may take to end by themselves when the service closes, in ms. */
const CLOSE_GRACE = 10_000
/** Turns of the event loop after which a stream of new connections does not keep the service from closing. */
const MAX_TURNS = 1000

/** Takes peers, holds them to the limits and has them answered. */
export class PeerServer {
  readonly #entrances: readonly [Entrance, ...Entrance[]]
  readonly #answer: Answerer
  readonly #limits: ServiceLimits
  readonly #budgets: Budgets
  readonly #running = new Map<Peer, Promise<void>>()
  /** Those of the network that have asked for nothing yet, or for nonsense, in the order in which they came. */
  readonly #idle = new Set<Peer>()
  /** Connections that are open, and all that there ever were. */
  #accepted = 0
  #taken = 0
  #closed = false
  #logger: Logger
  readonly #observer: Observer

  constructor(answer: Answerer, options: PeerServerOptions) {
    const { listener = createServer(), host = '127.0.0.1', port = 8088, door, plain } = options
    this.#answer = answer
    const further = plain === undefined ? [] : [{ server: createServer(), bind: plain }]
    this.#entrances = [{ server: listener, bind: { host, port }, door }, ...further]
    this.#logger = options.logger ?? SILENT
    this.#observer = options.observer ?? BLIND
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#budgets = budgetsOf(this.#limits)
  }

  /** Says from the next connection on what happens to `logger`. */
  withLogger(logger: Logger): void {
    this.#logger = logger
  }

  /** Where connections come from, past the door if there is one. */
  get listener(): Server {
    return this.#entrances[0].server
  }

  /** The address that is listened on, or undefined while none is. */
  get address(): AddressInfo | undefined {
    return addressOf(this.#entrances[0])
  }

  /** The address without a door that is listened on, or undefined while none is. */
  get plainAddress(): AddressInfo | undefined {
    const [, plain] = this.#entrances
    return plain && addressOf(plain)
  }

  /**
   * Takes connections from now on. A listener that does not listen yet is bound to its address.
   * @throws SnapError `E_FAILED` if an address cannot be listened on; then none is
   */
  async open(): Promise<void> {
    try {
      for (const entrance of this.#entrances) await listenAt(entrance)
    } catch (error) {
      for (const { server } of this.#entrances) server.close()
      throw error
    }
    for (const { server, door } of this.#entrances) {
      server.on('connection', (socket) => this.#accept(socket, door))
      server.on('error', (error) => this.#logger.error(`listener: ${error.message}`))
    }
  }

  /**
   * Takes the connections that were made until now and no more, waits for the running requests and breaks those that
   * go on for longer than `grace` ms. Always returns soon after that, even if a store does not stop.
   */
  async close(grace = CLOSE_GRACE): Promise<void> {
    await this.#takeWaiting()
    this.#closed = true
    for (const { server } of this.#entrances) server.close()
    await this.#settled(grace)
    const error = new SnapError('E_CUT', 'the service is closed', { retryable: true })
    for (const peer of this.#running.keys()) peer.fail(error)
    await this.#settled(this.#limits.stop)
  }

  /** Serves one peer, over any duplex; returns when it is done. Errors go to the log and to the peer, never to the caller. */
  async handle(duplex: Duplex, name = 'in process'): Promise<void> {
    const connection = new Connection(duplex, { name, idle: this.#limits.idle })
    await this.#run(connection, async () => await this.#converse({ connection }, connection))
  }

  #accept(socket: Socket, door: Door | undefined): void {
    const name = `${socket.remoteAddress}:${socket.remotePort}`
    this.#taken++
    // A listener of somebody else's goes on when we are closed.
    if (this.#closed || (this.#accepted >= this.#limits.connections && !this.#makeRoom())) {
      this.#logger.warn(`${name}: refused, ${this.#accepted} connections are open`)
      this.#observer.turnedAway('full')
      socket.resetAndDestroy()
      return
    }
    // An upload is half-closed by the peer while we work, and its end is our answer; a listener of somebody
    // else's may be made to end both sides at once.
    socket.allowHalfOpen = true
    this.#accepted++
    this.#observer.connected()
    void this.#welcome(socket, name, door).finally(() => {
      this.#accepted--
      this.#observer.disconnected()
    })
  }

  /** Breaks off the peer that has been of no use for the longest time, if there is one. */
  #makeRoom(): boolean {
    const [oldest] = this.#idle
    if (oldest === undefined) return false
    this.#idle.delete(oldest)
    const text = `${this.#accepted} connections are open, and this one asks for nothing`
    oldest.fail(new SnapError('E_TIMEOUT', `reset to make room: ${text}`))
    return true
  }

  /** Takes a connection through the door and talks to who is there. */
  async #welcome(socket: Socket, name: string, door: Door | undefined): Promise<void> {
    const { idle, total, handshake } = this.#limits
    let connection: Connection | undefined
    const peer = {
      fail: (error: SnapError) => {
        if (connection === undefined) socket.resetAndDestroy()
        else connection.fail(error)
      },
    }
    await this.#run(peer, async () => {
      this.#idle.add(peer)
      const visitor =
        door === undefined
          ? { connection: new Connection(socket, { name, idle }) }
          : await this.#enter(door.enter(socket, { name, handshake, idle }))
      if (visitor === undefined) return
      connection = visitor.connection
      const talk = this.#converse(visitor, peer)
      await connection.within(total, 'end of the request', talk).catch(() => {})
      await talk
    })
  }

  async #enter(entering: Promise<Visitor | undefined>): Promise<Visitor | undefined> {
    try {
      return await entering
    } catch (error) {
      this.#observer.turnedAway('door')
      this.#logger.warn(messageOf(error))
      return undefined
    }
  }

  async #converse({ connection, tokens }: Visitor, peer: Peer): Promise<void> {
    const [answer, limits, budgets] = [this.#answer, this.#limits, this.#budgets]
    const [logger, observer] = [this.#logger, this.#observer]
    const onRequest = () => void this.#idle.delete(peer)
    await converse(connection, { answer, limits, budgets, logger, observer, tokens, onRequest })
  }

  async #run(peer: Peer, work: () => Promise<void>): Promise<void> {
    if (this.#closed) {
      peer.fail(new SnapError('E_CONNECT', 'the service is closed'))
      return
    }
    const running = work()
    this.#running.set(peer, running)
    try {
      await running
    } finally {
      this.#running.delete(peer)
      this.#idle.delete(peer)
    }
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

  async #settled(ms: number): Promise<void> {
    const over = new AbortController()
    const { signal } = over
    const running = Promise.allSettled(this.#running.values())
    await Promise.race([running, delay(ms, undefined, { signal })])
    over.abort()
  }
}
