import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RecordWatch, TlsWire } from '../../src/client/tls-wire.ts'
import { describeWithOpenssl, makeAuthority, readPair } from '../helpers/certificates.ts'

const record = (type: number, size: number) =>
  Buffer.concat([Buffer.from([type, 3, 3, size >> 8, size & 255]), Buffer.alloc(size, 'x')])

describe('RecordWatch', () => {
  it.each([
    ['nothing', [], false],
    ['data', [record(23, 300)], false],
    ['the end of TLS 1.2', [record(23, 300), record(21, 26)], true],
    ['the end of TLS 1.3', [record(22, 90), record(23, 300), record(23, 19)], true],
    ['data after it', [record(23, 19), record(23, 300)], false],
    ['half of it', [record(23, 300), record(23, 19).subarray(0, -1)], false],
    ['half a header behind it', [record(21, 26), Buffer.from([23, 3])], false],
    ['an empty record', [record(23, 0)], false],
  ])('knows how a stream ends that ends in %s', (_what, records, endSaid) => {
    const all = Buffer.concat(records)
    for (const size of [1, 2, 3, 5, 7, 1000]) {
      const watch = new RecordWatch()
      for (let at = 0; at < all.length; at += size) watch.pass(all.subarray(at, at + size))
      expect(watch.endSaid).toBe(endSaid)
    }
  })
})

describeWithOpenssl('TlsWire', () => {
  let certificate: { readonly cert: Buffer; readonly key: Buffer }

  beforeAll(async () => {
    certificate = await readPair(await (await makeAuthority()).certify('peer'))
  })

  /** A client over a wire, its server, and the TCP connection below the server. */
  async function pair(maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
    const tlsServer = createTlsServer({ ...certificate, maxVersion })
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const accepted = once(server, 'connection')
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const [below] = (await accepted) as [Socket]
    const secured = once(tlsServer, 'secureConnection')
    tlsServer.emit('connection', below)
    const wire = new TlsWire(socket)
    const client = connectTls({ socket: wire, rejectUnauthorized: false })
    client.on('error', () => {})
    const [peer] = (await secured) as [TLSSocket]
    peer.on('error', () => {})
    onTestFinished(() => {
      server.close()
      for (const end of [socket, below]) end.destroy()
    })
    return { client, peer, below, socket, wire }
  }

  async function received(client: TLSSocket): Promise<string> {
    const chunks: Uint8Array[] = []
    for await (const chunk of client.iterator({ destroyOnReturn: false })) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'carries %s, its half-close and its end',
    async (version) => {
      const { client, peer, socket } = await pair(version)
      const sent = Buffer.alloc(3_000_000, 'sent ')
      client.end(sent)
      expect((await received(peer)).length).toBe(sent.length)
      peer.end('answer')
      expect(await received(client)).toBe('answer')
      if (!socket.destroyed) await once(socket, 'close')
    },
  )

  it('waits for who reads slowly', async () => {
    const { client, peer } = await pair()
    peer.end(Buffer.alloc(8_000_000, 'x'))
    let size = 0
    for await (const chunk of client.iterator({ destroyOnReturn: false })) {
      size += chunk.length
      if (size % 7 === 0) await delay(1)
    }
    expect(size).toBe(8_000_000)
  })

  it.each([
    ['that TLS did not say', ({ below }: { below: Socket }) => below.end()],
    ['by a reset', ({ below }: { below: Socket }) => below.resetAndDestroy()],
  ])('fails at an end %s', async (_how, finish) => {
    const ends = await pair()
    const reading = received(ends.client)
    ends.peer.write('half')
    finish(ends)
    await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(ends.wire.destroyed).toBe(true)
  })

  it('closes what is below it', async () => {
    const { client, socket } = await pair()
    client.destroy()
    await once(socket, 'close')
    const second = await pair()
    second.socket.resetAndDestroy()
    await once(second.client, 'close')
  })
})
