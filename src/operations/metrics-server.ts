import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { messageOf, SnapError } from '../errors.ts'
import { addressOf, type Bind, listenAt } from '../service/index.ts'
import type { ServeMetrics } from './serve-metrics.ts'

/** A page that can be asked for. */
type Pages = Pick<ServeMetrics, 'contentType' | 'text'>

/** A server of metrics that listens. */
export interface MetricsServer {
  /** The port that is listened on. */
  readonly port: number | undefined
  /** Ends it and every connection. */
  readonly close: () => Promise<void>
}

/** One Prometheus, and a few who look by hand. */
const MAX_CONNECTIONS = 16
/** A scrape is a line and some headers. */
const MAX_HEADER_SIZE = 8 * 1024
/** For the whole request, for its headers, and for a silence of the peer, in ms. */
const TIMEOUT = 10_000
/** How often silent connections are looked for, in ms. */
const CHECK_INTERVAL = 1000

/**
 * Serves `/metrics`, and `/healthz` for probes, over HTTP and nothing else. Each connection is for one request.
 * @throws SnapError `E_FAILED` if the address cannot be listened on
 */
export async function openMetricsServer(bind: Bind, pages: Pages): Promise<MetricsServer> {
  const limits = {
    maxHeaderSize: MAX_HEADER_SIZE,
    headersTimeout: TIMEOUT,
    requestTimeout: TIMEOUT,
    connectionsCheckingInterval: CHECK_INTERVAL,
  }
  const server = createServer(limits, (request, response) => void answer(request, response, pages))
  server.maxConnections = MAX_CONNECTIONS
  server.setTimeout(TIMEOUT, (socket) => socket.destroy())
  try {
    await listenAt({ server, bind })
  } catch (error) {
    const hint = 'choose another address with --metrics'
    throw new SnapError('E_FAILED', messageOf(error), { hint, cause: error })
  }
  return { port: addressOf({ server, bind })?.port, close: async () => await close(server) }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
): Promise<void> {
  const page = await pageFor(request, pages).catch(failedPage)
  const { status, type = 'text/plain; charset=utf-8', body } = page
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
    connection: 'close',
    ...(status === 405 && { allow: 'GET, HEAD' }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

interface Page {
  readonly status: number
  /** Default: plain text. */
  readonly type?: string
  readonly body: string
}

async function pageFor(
  { method, url = '' }: IncomingMessage,
  { contentType, text }: Pages,
): Promise<Page> {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'only GET\n' }
  const [path] = url.split('?', 1)
  if (path === '/healthz') return { status: 200, body: 'ok\n' }
  if (path !== '/metrics') return { status: 404, body: 'only /metrics and /healthz\n' }
  return { status: 200, type: contentType, body: await text() }
}

/** Tells whoever asks why there are no figures: nobody else waits for the answer. */
function failedPage(error: unknown): Page {
  return { status: 500, body: `${messageOf(error)}\n` }
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}
