import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import type { Door } from './door.ts'

/** An address to listen on; port 0 takes a free one. */
export interface Bind {
  readonly host: string
  readonly port: number
}

/** Where peers come from. */
export interface Entrance {
  readonly server: Server
  readonly bind: Bind
  /** What they have to pass; undefined: nothing. */
  readonly door?: Door | undefined
}

/**
 * Listens, unless the entrance does already.
 * @throws SnapError `E_FAILED` if the address cannot be listened on
 */
export async function listenAt({ server, bind: { host, port } }: Entrance): Promise<void> {
  if (server.listening) return
  try {
    const listening = once(server, 'listening')
    server.listen(port, host)
    await listening
  } catch (error) {
    throw listenError(`${host}:${port}`, error)
  }
}

/** Returns the address that is listened on, or undefined while none is. */
export function addressOf({ server }: Entrance): AddressInfo | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address : undefined
}

function listenError(address: string, error: unknown): SnapError {
  const taken = errnoOf(error) === 'EADDRINUSE'
  const failure = asSnapError(error, 'E_FAILED', `${address}: cannot listen`)
  return new SnapError('E_FAILED', failure.message, {
    cause: error,
    hint: taken
      ? 'another program listens there, influxd perhaps: take another port, as --bind 127.0.0.1:8089'
      : undefined,
  })
}
