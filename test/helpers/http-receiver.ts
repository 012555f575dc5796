import { createServer } from 'node:http'
import { onTestFinished } from 'vitest'

/** A request that came. */
export interface Received {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly type: string | undefined
  readonly body: string
}

/** A service on loopback that keeps what it is told. */
export interface Receiver {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly requests: readonly Received[]
}

/** Starts a receiver for the time of a test; `statusOf` answers each request, undefined leaves it without an answer. */
export async function startReceiver(
  statusOf: (request: Received, nth: number) => number | undefined = () => 200,
): Promise<Receiver> {
  const requests: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const body = Buffer.concat(chunks).toString()
      const received = { method, url, type: headers['content-type'], body }
      requests.push(received)
      const status = statusOf(received, requests.length)
      if (status !== undefined) response.writeHead(status, { location: '/elsewhere' }).end('said')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return { url: `http://127.0.0.1:${port}`, requests }
}
