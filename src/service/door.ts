import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { Connection } from '../io/connection.ts'
import { withDeadline } from '../io/deadline.ts'
import { DOOR_PROTOCOL } from '../protocol/index.ts'
import type { Visitor } from './converse.ts'
import {
  type DoorFiles,
  doubtsAbout,
  type Identity,
  isAccepted,
  readIdentity,
  readTokens,
} from './door-files.ts'
import type { Logger } from './stores.ts'
import { WatchedFiles } from './watched-files.ts'

/**
 * Opens a door. Its files are read now, and again when they have changed.
 * @param logger is told what is doubtful about the files, and when changed ones cannot be used
 * @throws SnapError `E_USAGE` if a file cannot be read or is not what it should be
 */
export async function openDoor(files: DoorFiles, logger: Logger): Promise<Door> {
  const door = new Door(files, logger)
  await door.check()
  for (const doubt of await doubtsAbout(files)) logger.warn(doubt)
  return door
}

/** How a connection is taken through the handshake; times in ms. */
export interface EnterOptions {
  /** Names the peer in messages. */
  readonly name: string
  /** Longest time for it. */
  readonly handshake: number
  /** As in Connection. */
  readonly idle: number
}

interface Arrival {
  readonly entered: (socket: TLSSocket | undefined) => void
  readonly refused: (error: Error) => void
}

/**
 * What a connection has to pass before the protocol begins: TLS 1.2 or newer, a client's certificate and a token, the
 * last two if they are asked for. Made by {@link openDoor}.
 */
export class Door {
  readonly #logger: Logger
  readonly #identity: WatchedFiles<Identity>
  /** Counts the tokens that are in the file now; throws if it cannot be used any more: then nobody may pass. */
  readonly #accepts: ((token: string) => Promise<boolean>) | undefined
  readonly #server: Server
  readonly #asksCertificate: boolean
  #current: Identity | undefined
  /** Connections within the handshake. */
  readonly #arriving = new Map<string, Arrival>()

  constructor(files: DoorFiles, logger: Logger) {
    const { certFile, keyFile, clientCaFile, tokenFile } = files
    this.#logger = logger
    const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
    this.#identity = new WatchedFiles(paths, () => readIdentity(files))
    this.#accepts = tokenFile === undefined ? undefined : tokenChecker(tokenFile)
    this.#asksCertificate = clientCaFile !== undefined
    this.#server = createServer({
      ALPNProtocols: [DOOR_PROTOCOL],
      requestCert: this.#asksCertificate,
      // Node would end the connection of a bad certificate, and after an upload an end is success: we reset it.
      rejectUnauthorized: false,
    })
    this.#server.on('secureConnection', (socket) => {
      // An error may come before anybody looks at the connection, and nobody's error ends the process.
      socket.on('error', () => {})
      socket.allowHalfOpen = true
      this.#arrivalOf(socket)?.entered(socket)
    })
    this.#server.on('tlsClientError', (error, socket) => this.#arrivalOf(socket)?.refused(error))
  }

  /** @throws SnapError `E_USAGE` if the files cannot be used */
  async check(): Promise<void> {
    await this.#useIdentity()
    await this.#accepts?.('')
  }

  /**
   * Takes a connection through the handshake. What a peer has to say then is for the caller to hear. Undefined if it left
   * without a word, as port probes do.
   * @throws SnapError `E_CONNECT` if none comes about, `E_TIMEOUT`; the connection is then closed
   */
  async enter(
    socket: Socket,
    { name, handshake, idle }: EnterOptions,
  ): Promise<Visitor | undefined> {
    socket.on('error', () => {})
    // Within the handshake nobody has anything to say to a peer that has ended its side.
    socket.allowHalfOpen = false
    await this.#refresh()
    const key = keyOf(socket)
    try {
      const secured = await withDeadline(this.#shake(socket, key), handshake, () => {
        return new SnapError('E_TIMEOUT', `${name}: no TLS handshake in ${handshake / 1000} s`)
      })
      if (secured === undefined) return undefined
      // Out of the callback of OpenSSL: nothing that happens from here on may pull TLS away from under it.
      await turn()
      const subject = this.#checkCertificate(secured, name)
      const connection = new Connection(secured, {
        name: subject === undefined ? name : `${name} (${JSON.stringify(subject)})`,
        idle,
        transport: socket,
      })
      const isSent = secured.alpnProtocol === DOOR_PROTOCOL
      return { connection, tokens: { isSent, accepts: this.#accepts } }
    } catch (error) {
      // A handshake that failed by itself has sent its alert and is closed.
      if (error instanceof SnapError) socket.resetAndDestroy()
      throw error instanceof SnapError ? error : handshakeError(name, error)
    } finally {
      this.#arriving.delete(key)
    }
  }

  /** A renewed certificate counts from the next connection on; one that cannot be used changes nothing. */
  async #refresh(): Promise<void> {
    try {
      await this.#useIdentity()
    } catch (error) {
      this.#logger.error(`the certificate stays as it was: ${messageOf(error)}`)
    }
  }

  async #useIdentity(): Promise<void> {
    const identity = await this.#identity.get()
    if (identity === this.#current) return
    this.#server.setSecureContext({
      ...identity,
      minVersion: 'TLSv1.2',
      // A connection is for one request: nothing is ever resumed.
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    })
    this.#current = identity
  }

  #shake(socket: Socket, key: string): Promise<TLSSocket | undefined> {
    return new Promise((entered, refused) => {
      const left = () => refused(new Error('the peer left'))
      this.#arriving.set(key, { entered, refused })
      socket.once('close', left)
      if (socket.destroyed) left()
      socket.once('readable', () => {
        const first = firstByteOf(socket)
        if (first === HANDSHAKE) {
          this.#server.emit('connection', socket)
          return
        }
        if (first === undefined) entered(undefined)
        else refused(new Error('the peer speaks no TLS'))
        socket.end(ALERT, () => socket.destroySoon())
      })
    })
  }

  /** Returns whom the peer's certificate names, if one is asked for. */
  #checkCertificate(socket: TLSSocket, name: string): string | undefined {
    if (!this.#asksCertificate) return undefined
    const subject = socket.getPeerX509Certificate()?.subject
    if (subject === undefined) {
      throw new SnapError('E_CONNECT', `${name}: refused: it gave no certificate`)
    }
    if (socket.authorized) return subject
    const why = String(socket.authorizationError)
    const whose = JSON.stringify(subject)
    throw new SnapError('E_CONNECT', `${name}: refused: its certificate (${whose}): ${why}`)
  }

  #arrivalOf(socket: Socket): Arrival | undefined {
    return this.#arriving.get(keyOf(socket))
  }
}

/** Returns a function that knows the tokens of a file, as they are whenever it is called. */
function tokenChecker(path: string): (token: string) => Promise<boolean> {
  const tokens = new WatchedFiles([path], () => readTokens(path))
  return async (token) => isAccepted(token, await tokens.get())
}

const HANDSHAKE = 0x16
/** A fatal alert: `protocol_version`. Whoever speaks no TLS reads in it that we do. */
const ALERT = Buffer.from('15030300020246', 'hex')

/**
 * Looks at the first byte and leaves it there. OpenSSL would take the snapshotter's opening for the head of a long hello
 * of SSL 2, and both sides would wait for more.
 */
function firstByteOf(socket: Socket): number | undefined {
  const bytes: Buffer | null = socket.read()
  if (bytes !== null) socket.unshift(bytes)
  return bytes?.[0]
}

/** TLS does not show the connection it runs on, but where that comes from and goes to. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return [remoteAddress, remotePort, localAddress, localPort].join(' ')
}

/** What a peer did that is no TLS, or no TLS of ours. */
function handshakeError(name: string, error: unknown): SnapError {
  const reason =
    error instanceof Error && 'reason' in error && typeof error.reason === 'string'
      ? error.reason
      : messageOf(error)
  const code = errnoOf(error)
  const shown = code?.startsWith('ERR_SSL') ? reason : `${reason}${code ? ` (${code})` : ''}`
  return new SnapError('E_CONNECT', `${name}: no TLS handshake: ${shown}`, { cause: error })
}
