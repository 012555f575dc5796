import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { parseLines } from '../formats/line-protocol-parser.ts'

/** What a receiver does with a request instead of taking its lines. */
export type Trouble = { readonly status: number; readonly body?: string } | 'reset' | undefined

/** A receiver of line protocol. */
export interface WriteReceiver {
  readonly url: string
  /** What arrived, one text for each value of each point: the same point twice is there once. */
  readonly points: ReadonlyMap<string, string>
  /** Requests so far, those in trouble too: path with query, and who asked. */
  readonly requests: readonly { readonly url: string; readonly authorization: string }[]
  close(): Promise<void>
}

/**
 * Starts a server that takes `/api/v2/write` as InfluxDB 2 documents it: gzip bodies of whole lines with times in ns, for a
 * bucket of an organization and with a token; 204 if all of it was taken, 400 and nothing taken if one line is wrong.
 * @param trouble asked about every request, counted from 0
 */
export async function startWriteReceiver(
  trouble: (request: number) => Trouble = () => undefined,
): Promise<WriteReceiver> {
  const points = new Map<string, string>()
  const requests: { url: string; authorization: string }[] = []
  const server = createServer(async (request, response) => {
    const { url = '', headers } = request
    const wrong = trouble(requests.length)
    requests.push({ url, authorization: headers.authorization ?? '' })
    if (wrong === 'reset') {
      request.socket.resetAndDestroy()
      return
    }
    const body = await bodyOf(request)
    const answer = wrong ?? take(new URL(url, 'http://receiver'), request, { body, points })
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(answer.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${port}`, points, requests, close }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function take(
  { pathname, searchParams }: URL,
  { method, headers }: IncomingMessage,
  { body, points }: { readonly body: Buffer; readonly points: Map<string, string> },
): { status: number; body?: string } {
  const refuse = (status: number, message: string) => ({
    status,
    body: JSON.stringify({ code: 'invalid', message }),
  })
  if (method !== 'POST' || pathname !== '/api/v2/write') return refuse(404, 'path not found')
  if (headers.authorization !== 'Token s3cret') return refuse(401, 'unauthorized access')
  const bucket = searchParams.get('bucket')
  if (bucket === null || searchParams.get('org') !== 'home') return refuse(404, 'bucket not found')
  if (searchParams.get('precision') !== 'ns') return refuse(400, 'precision is not ns')
  if (headers['content-encoding'] !== 'gzip') return refuse(400, 'expected gzip')
  const text = gunzipSync(body).toString('latin1')
  if (!text.endsWith('\n')) return refuse(400, 'a line without its end')
  for (const { seriesKey, field, type, value, time } of parseLines(text)) {
    points.set(`${bucket} ${seriesKey} ${field} ${time}`, `${type} ${value}`)
  }
  return { status: 204 }
}
