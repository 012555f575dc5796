import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { giveBack, largeReads } from '../../src/io/large-reads.ts'

/** Sends chunks through a socket of this machine and gives what is read at its other end to `look`. */
async function through(chunks: readonly Uint8Array[], look: (read: Buffer) => void): Promise<void> {
  const server = createServer((peer) => {
    for (const chunk of chunks) peer.write(chunk)
    peer.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket: Socket = connect({ port, host: '127.0.0.1', onread: largeReads(() => socket) })
  try {
    for await (const chunk of socket) look(chunk)
  } finally {
    socket.destroy()
    server.close()
  }
}

const CHUNKS = fc.array(fc.uint8Array({ minLength: 1, maxLength: 100_000 }), { maxLength: 20 })

test.prop([CHUNKS], { numRuns: 20 })(
  'reads what was sent, and leaves to the reader what it gave',
  async (chunks) => {
    const read: Buffer[] = []
    await through(chunks, (chunk) => read.push(chunk))
    expect(Buffer.concat(read).equals(Buffer.concat(chunks))).toBe(true)
  },
)

test.prop([CHUNKS], { numRuns: 20 })(
  'reads what was sent into memory that is given back each time',
  async (chunks) => {
    const read: Buffer[] = []
    await through(chunks, (chunk) => {
      read.push(Buffer.from(chunk))
      giveBack(chunk)
    })
    expect(Buffer.concat(read).equals(Buffer.concat(chunks))).toBe(true)
  },
)

it('reads megabytes into a few pieces of memory that it gets back', async () => {
  const sent = Array.from({ length: 64 }, (_, i) => Buffer.alloc(1024 * 1024, i))
  const memory = new Set<ArrayBufferLike>()
  let at = 0
  await through(sent, (chunk) => {
    memory.add(chunk.buffer)
    for (const byte of [chunk[0], chunk.at(-1)]) {
      expect([at >> 20, (at + chunk.length - 1) >> 20]).toContain(byte)
    }
    at += chunk.length
    giveBack(chunk)
    giveBack(chunk)
  })
  expect(at).toBe(64 * 1024 * 1024)
  expect(memory.size).toBeLessThan(32)
})
