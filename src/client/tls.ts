import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { DOOR_PROTOCOL } from '../protocol/index.ts'
import { TlsWire } from './tls-wire.ts'

/** How TLS is spoken with a server. All in PEM. */
export interface ClientTls {
  /** The authorities that may have signed the server's certificate. Default: those that Node knows. */
  readonly ca?: string | Uint8Array | undefined
  /** Our own certificate, for a server that asks for one, and its key. */
  readonly cert?: string | Uint8Array | undefined
  readonly key?: string | Uint8Array | undefined
  /** The name to look for in the server's certificate. Default: the host that is connected to. */
  readonly serverName?: string | undefined
}

/** Begins TLS on a TCP connection; the result emits `secureConnect` once the server's certificate has passed. */
export function beginTls(socket: Socket, host: string, options: ClientTls): TLSSocket {
  const { ca, cert, key, serverName = host } = options
  return connect({
    socket: new TlsWire(socket),
    ...(ca !== undefined && { ca: Buffer.from(ca) }),
    ...(cert !== undefined && { cert: Buffer.from(cert) }),
    ...(key !== undefined && { key: Buffer.from(key) }),
    // The name that is sent must not be an address; the one that is checked may be.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    ALPNProtocols: [DOOR_PROTOCOL],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  })
}

interface Meaning {
  readonly codes: RegExp
  readonly hint: string
}

/** What errors of TLS mean to an operator, by Node's codes; the first that fits counts. */
const MEANINGS: readonly Meaning[] = [
  {
    codes: /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_UNTRUSTED|INVALID_CA/,
    hint: 'its certificate is not signed by an authority that is known here: name that authority with --ca FILE',
  },
  {
    codes: /^CERT_HAS_EXPIRED|^CERT_NOT_YET_VALID/,
    hint: 'look at the dates of its certificate (openssl x509 -noout -dates) and at the clocks of both machines',
  },
  {
    codes: /ALTNAME_INVALID/,
    hint: 'connect by a name that is in its certificate, or give that name with --tls-server-name',
  },
  {
    codes: /CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/,
    hint: 'it asks for a certificate of ours: give --cert FILE and --key FILE',
  },
  {
    codes:
      /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERT|DECRYPT_ERROR)/,
    hint: 'it does not accept our certificate: is it signed by the authority of its --tls-client-ca, and still good?',
  },
  {
    codes: /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_APPLICATION_PROTOCOL/,
    hint: 'it speaks another version of TLS or another protocol in it; snap serve has TLS 1.2 and 1.3',
  },
  {
    codes: /^ERR_SSL_|^EPROTO$|^ECONNRESET$|^EPIPE$/,
    hint: 'it may speak no TLS there, as a stock influxd never does: check the port, or leave --tls out',
  },
]

/** Returns what a failed handshake means. */
export function handshakeError(name: string, error: unknown): SnapError {
  const code = errnoOf(error) ?? ''
  return new SnapError('E_CONNECT', `${name}: no TLS connection: ${reasonOf(error)}`, {
    cause: error,
    hint: MEANINGS.find(({ codes }) => codes.test(code))?.hint,
  })
}

/**
 * Returns what an error after the handshake means. A server that refuses us does so only then: our certificate by an
 * alert, which the reset behind it may overtake, and our token by a reset alone.
 */
export function brokenTls(name: string, error: unknown): SnapError | undefined {
  const code = errnoOf(error) ?? ''
  if (code.startsWith('ERR_SSL_')) return handshakeError(name, error)
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return undefined
  return new SnapError('E_CUT', `${name}: connection reset by the peer`, {
    cause: error,
    hint: 'run it again; if it stays: does the server know this token and certificate? Its log says why it broke off',
    retryable: true,
  })
}

/** OpenSSL's own messages are lines with addresses in them; the reason is their one part for people. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && 'reason' in error && typeof error.reason === 'string') {
    return error.reason
  }
  return messageOf(error)
}
