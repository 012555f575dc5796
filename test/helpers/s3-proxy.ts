import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What becomes of a request: `lost` is done by the server, and its answer never comes; `busy` is answered with 503, `unknown`
 * with 501.
 */
export type Fate = 'lost' | 'busy' | 'unknown' | undefined

/** An HTTP proxy in front of an S3 server. */
export interface S3Proxy {
  readonly url: string
  readonly close: () => Promise<void>
}

/**
 * Starts a proxy that takes conditions out of requests, as S3 stores do that do not know them. Signatures would no longer
 * fit, so they are taken out too: the bucket must be open to everyone.
 */
export async function startForgetful(endpoint: string): Promise<S3Proxy> {
  return await startProxy(endpoint, ({ headers }) => {
    const { authorization: _, 'if-none-match': __, ...kept } = headers
    return { headers: kept }
  })
}

/** Starts a proxy in front of a server that loses answers, as `fateOf` says for each request. */
export async function startLossy(
  endpoint: string,
  fateOf: (from: IncomingMessage) => Fate,
): Promise<S3Proxy> {
  return await startProxy(endpoint, (from) => ({ headers: from.headers, fate: fateOf(from) }))
}

async function startProxy(
  endpoint: string,
  look: (from: IncomingMessage) => {
    readonly headers: IncomingMessage['headers']
    readonly fate?: Fate
  },
): Promise<S3Proxy> {
  const { hostname, port } = new URL(endpoint)
  const server = createServer((from, to) => {
    const { method, url: path } = from
    const { headers, fate } = look(from)
    if (fate === 'busy') {
      from.resume()
      to.writeHead(503).end('<Error><Code>SlowDown</Code></Error>')
      return
    }
    if (fate === 'unknown') {
      from.resume()
      to.writeHead(501).end('<Error><Code>NotImplemented</Code></Error>')
      return
    }
    const forward = request({ hostname, port, method, path, headers }, (answer) => {
      if (fate === 'lost') {
        answer.resume()
        answer.once('end', () => to.destroy())
      } else {
        to.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(to)
      }
    })
    forward.on('error', () => to.destroy())
    from.pipe(forward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${own}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
