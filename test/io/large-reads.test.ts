import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { largeReads } from '../../src/io/large-reads.ts'

/** Sends chunks through a socket of this machine and gives what is read at its other end. */
async function through(chunks: readonly Uint8Array[]): Promise<Buffer[]> {
  const server = createServer((peer) => {
    for (const chunk of chunks) peer.write(chunk)
    peer.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket: Socket = connect({ port, host: '127.0.0.1', onread: largeReads(() => socket) })
  try {
    const read: Buffer[] = []
    for await (const chunk of socket) read.push(chunk)
    return read
  } finally {
    socket.destroy()
    server.close()
  }
}

test.prop([fc.array(fc.uint8Array({ minLength: 1, maxLength: 100_000 }), { maxLength: 20 })], {
  numRuns: 20,
})('reads what was sent, and leaves to the reader what it gave', async (chunks) => {
  expect(Buffer.concat(await through(chunks)).equals(Buffer.concat(chunks))).toBe(true)
})

it('reads into memory that many reads share', async () => {
  const sent = Array.from({ length: 16 }, (_, i) => Buffer.alloc(1024 * 1024, i))
  const read = await through(sent)
  expect(Buffer.concat(read).equals(Buffer.concat(sent))).toBe(true)
  expect(new Set(read.map(({ buffer }) => buffer)).size).toBeLessThan(64)
})
