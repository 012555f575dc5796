import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An HTTP proxy in front of an S3 server. */
export interface ForgetfulProxy {
  readonly url: string
  readonly close: () => Promise<void>
}

/**
 * Starts a proxy that takes conditions out of requests, as S3 stores do that do not know them. Signatures would no longer
 * fit, so they are taken out too: the bucket must be open to everyone.
 */
export async function startForgetful(endpoint: string): Promise<ForgetfulProxy> {
  const { hostname, port } = new URL(endpoint)
  const server = createServer((from, to) => {
    const { authorization: _, 'if-none-match': __, ...headers } = from.headers
    const { method, url: path } = from
    const forward = request({ hostname, port, method, path, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(to)
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
