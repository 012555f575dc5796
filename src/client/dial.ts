import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { asSnapError, errnoOf, messageOf, SnapError } from '../errors.ts'
import { Connection } from '../io/connection.ts'
import { withDeadline } from '../io/deadline.ts'
import { largeReads } from '../io/large-reads.ts'
import { DOOR_PROTOCOL, encodeTokenLine } from '../protocol/index.ts'
import { formatAddress, parseAddress } from './address.ts'
import type { ClientTls } from './tls.ts'

/** A server by its address, or a way to reach one inside this process. */
export type Host = string | (() => Promise<Duplex>)

/** How a connection is made. */
export interface DialOptions {
  /** Longest time in ms for the connection, and again for the TLS handshake on it. */
  readonly connect: number
  /** As in Connection, in ms. */
  readonly idle: number
  readonly signal?: AbortSignal | undefined
  readonly tls?: ClientTls | undefined
  readonly token?: string | undefined
}

/**
 * Connects to `host`.
 * @throws SnapError `E_CONNECT` if nothing answers there or no TLS comes about, `E_TIMEOUT`, `E_USAGE` if `host` is no
 * address or the token no token
 */
export async function dial(host: Host, options: DialOptions): Promise<Connection> {
  return typeof host === 'string'
    ? await dialAddress(host, options)
    : await dialInside(host, options)
}

async function dialAddress(text: string, options: DialOptions): Promise<Connection> {
  const address = parseAddress(text)
  const name = formatAddress(address)
  // It takes Node some milliseconds, and most have no use for it.
  const layer = options.tls && (await import('./tls.ts'))
  // Half-open: the server ends an answer before we have ended our side.
  const socket: Socket = connect({
    ...address,
    ...{ allowHalfOpen: true, noDelay: true },
    // Under TLS it is read by TLS.
    ...(options.tls === undefined && { onread: largeReads(() => socket) }),
  })
  const connected = once(socket, 'connect')
  const connection = new Connection(socket, { name, ...options })
  try {
    await connection.within(options.connect, 'connection', connected)
  } catch (error) {
    throw error instanceof SnapError ? error : connectError(name, error)
  }
  const { tls } = options
  if (tls === undefined || layer === undefined) return connection
  return await secure(connection, { socket, host: address.host, layer }, { ...options, tls })
}

interface Unsecured {
  readonly socket: Socket
  readonly host: string
  readonly layer: typeof import('./tls.ts')
}

/** Goes on in TLS, and says there who we are if the server knows how to listen. */
async function secure(
  plain: Connection,
  { socket, host, layer }: Unsecured,
  options: DialOptions & { readonly tls: ClientTls },
): Promise<Connection> {
  const { name } = plain
  const { connect, idle, signal, tls, token } = options
  const line = encodeTokenLine(token ?? '')
  const secured = layer.beginTls(socket, host, tls)
  const explain = (error: unknown) => layer.brokenTls(name, error)
  const connection = new Connection(secured, { name, idle, signal, transport: socket, explain })
  try {
    await connection.within(connect, 'TLS handshake', once(secured, 'secureConnect'))
    // Out of the callback of OpenSSL: nothing that happens from here on may pull TLS away from under it.
    await turn()
    if (secured.alpnProtocol === DOOR_PROTOCOL) await connection.write(line)
    else if (token !== undefined) throw knowsNoTokens(name)
    return connection
  } catch (error) {
    connection.close()
    throw error instanceof SnapError ? error : layer.handshakeError(name, error)
  }
}

function knowsNoTokens(name: string): SnapError {
  return new SnapError('E_CONNECT', `${name}: speaks TLS, but knows no tokens`, {
    hint: 'the token was not sent; is this the port of snap serve, without anything in between?',
  })
}

/** Returns how a server is called in messages. */
export function nameOf(host: Host): string {
  return typeof host === 'string' ? formatAddress(parseAddress(host)) : 'snapshotter'
}

async function dialInside(host: () => Promise<Duplex>, options: DialOptions): Promise<Connection> {
  const name = nameOf(host)
  const made = (async () => await host())()
  try {
    const duplex = await withDeadline(made, options.connect, () => {
      made.then((late) => late.destroy()).catch(() => {})
      const text = `${name}: no connection in ${options.connect / 1000} s`
      return new SnapError('E_TIMEOUT', text, { retryable: true })
    })
    return new Connection(duplex, { name, ...options })
  } catch (error) {
    throw asSnapError(error, 'E_CONNECT', name)
  }
}

/** What each errno of a failed connect means to an operator. */
const HINTS: { readonly [errno: string]: string } = {
  ECONNREFUSED:
    'nothing listens there: is influxd running, and is its bind-address (default 127.0.0.1:8088, ' +
    'not the HTTP port) reachable from here?',
  ENOTFOUND: 'the name is unknown: check --host',
  EAI_AGAIN: 'the name server did not answer',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
}

/** Errors that may be gone a moment later; the others stay until somebody does something. */
const PASSING = new Set(['EAI_AGAIN', 'ETIMEDOUT', 'ECONNRESET'])

function connectError(name: string, error: unknown): SnapError {
  const errno = errnoOf(error) ?? ''
  // Several addresses that all fail give an AggregateError with a code and no message.
  const why = messageOf(error) || errno
  return new SnapError('E_CONNECT', `${name}: cannot connect: ${why}`, {
    cause: error,
    hint: HINTS[errno],
    retryable: PASSING.has(errno),
  })
}
