import { isIPv6 } from 'node:net'
import { SnapError } from '../errors.ts'

/** Where influxd's snapshotter listens unless `bind-address` says otherwise. */
const DEFAULT_PORT = 8088

/** A host to connect to. */
export interface Address {
  readonly host: string
  readonly port: number
}

const ADDRESS = /^(?:\[([^[\]]+)\]|([^:[\]]*))(?::(\d+))?$/

/**
 * Parses `host:port`, `host`, `[v6]:port`, `[v6]` or a bare IPv6 address. No host (`:8088`) is this machine, no port 8088.
 * @throws SnapError `E_USAGE` for anything else
 */
export function parseAddress(text: string): Address {
  const parts = ADDRESS.exec(text)
  // Asked only of what has colons: the first answer takes 4 ms, and most commands read an address.
  if (parts === null && isIPv6(text)) return { host: text, port: DEFAULT_PORT }
  const [, bracketed, plain, digits] = parts ?? []
  const host = bracketed ?? plain
  const port = Number(digits ?? DEFAULT_PORT)
  const valid = bracketed === undefined ? !/\s/.test(text) && text !== '' : isIPv6(bracketed)
  if (host === undefined || !valid || port < 1 || port > 65_535) {
    throw new SnapError(
      'E_USAGE',
      `host ${JSON.stringify(text)}: expected host:port, host or [v6]:port`,
    )
  }
  return { host: host === '' ? 'localhost' : host, port }
}

/** Formats an address the way {@link parseAddress} reads it. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
