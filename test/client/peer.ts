import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A server of raw bytes for one test: `serve` gets every connection. */
export interface Peer {
  /** `127.0.0.1:port`. */
  readonly host: string
  /** How many connections came. */
  connections(): number
}

/** Listens on loopback until the test is over. */
export async function listen(serve: (socket: Socket) => void | Promise<void>): Promise<Peer> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    void serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening on TCP')
  return { host: `127.0.0.1:${address.port}`, connections: () => sockets.length }
}

/** Listens and answers every connection, once its first bytes are here, with `bytes` and an end. */
export async function answering(
  bytes: string | Uint8Array,
  onRequest: (request: Buffer) => void = () => {},
): Promise<Peer> {
  return await listen((socket) => {
    socket.once('data', (request) => {
      onRequest(Buffer.from(request))
      socket.end(bytes)
    })
  })
}

/** Returns all that a socket receives, and how it came to its end. */
export async function receive(socket: Socket): Promise<{ bytes: Buffer; end: 'end' | 'reset' }> {
  const chunks: Uint8Array[] = []
  socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)))
  const end = await new Promise<'end' | 'reset'>((resolve) => {
    socket.once('end', () => resolve('end'))
    socket.once('error', () => resolve('reset'))
  })
  return { bytes: Buffer.concat(chunks), end }
}

/** Returns a port of loopback that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 1
}
