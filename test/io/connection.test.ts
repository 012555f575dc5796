import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { Connection } from '../../src/io/connection.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { RECYCLED_SIZE, takeBuffer } from '../../src/io/recycled.ts'
import { describeWithOpenssl, makeAuthority, readPair } from '../helpers/certificates.ts'
import { tempDir } from '../helpers/temp.ts'
import { rejected } from '../protocol/thrown.ts'

const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Returns both ends of a TCP connection (or of a Unix socket). */
async function socketPair(path?: string): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(path ?? { port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const address = server.address()
  const target =
    typeof address === 'object' && address !== null
      ? { port: address.port, host: '127.0.0.1' }
      : { path: path ?? '' }
  const accepted = once(server, 'connection')
  const client = connect({ ...target, allowHalfOpen: true })
  await once(client, 'connect')
  const [peer] = (await accepted) as [Socket]
  server.close()
  for (const end of [client, peer]) {
    end.on('error', () => {})
    closers.push(() => end.destroy())
  }
  return [client, peer]
}

/** What is below the TLS ends. */
const transports = new WeakMap<Duplex, Socket>()
let certificate: { readonly cert: Buffer; readonly key: Buffer } | undefined

/** Returns both ends of TLS over a TCP connection. */
async function tlsPair(): Promise<[TLSSocket, TLSSocket]> {
  certificate ??= await readPair(await (await makeAuthority()).certify('peer'))
  const [near, far] = await socketPair()
  const server = createTlsServer(certificate)
  const accepted = once(server, 'secureConnection')
  server.emit('connection', far)
  const client = connectTls({ socket: near, rejectUnauthorized: false })
  await once(client, 'secureConnect')
  const [peer] = (await accepted) as [TLSSocket]
  transports.set(client, near)
  transports.set(peer, far)
  for (const end of [client, peer]) end.on('error', () => {})
  return [client, peer]
}

function open(duplex: Duplex, idle = 5_000, signal?: AbortSignal): Connection {
  return new Connection(duplex, { name: 'peer', idle, signal, transport: transports.get(duplex) })
}

async function received(connection: Connection): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of connection.chunks()) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const PAIRS = { tcp: socketPair, tls: tlsPair, 'in process': async () => duplexPair() } as const

describe.each(Object.entries(PAIRS))('Connection, recycled buffers, %s', (_name, pair) => {
  it('sends what was in them, however slowly it is taken', async () => {
    const [near, far] = await pair()
    const sink = open(near).sink()
    const taken = new Set<ArrayBufferLike>()
    const send = async () => {
      for (let i = 1; i <= 60; i += 1) {
        const bytes = takeBuffer().fill(i)
        taken.add(bytes.buffer)
        if (!sink.write(bytes)) await once(sink, 'drain')
        await turn()
      }
      sink.end()
      await once(sink, 'finish')
      await open(near).end()
    }
    const sent = send()
    const chunks: Uint8Array[] = []
    for await (const chunk of open(far).chunks()) {
      if (chunks.length % 20 === 0) await sleep(1)
      chunks.push(chunk)
    }
    await sent
    const got = Buffer.concat(chunks)
    expect(got.length).toBe(60 * RECYCLED_SIZE)
    const want = Buffer.concat(
      Array.from({ length: 60 }, (_, i) => Buffer.alloc(RECYCLED_SIZE, i + 1)),
    )
    expect(got.equals(want)).toBe(true)
    if (_name === 'in process') expect(taken.size).toBe(60)
    else expect(taken.size).toBeLessThan(60)
  })
})

describe('Connection, tcp', () => suite('tcp'))
describeWithOpenssl('Connection, tls', () => suite('tls'))
describe('Connection, in process', () => suite('in process'))

function suite(kind: keyof typeof PAIRS): void {
  const onNetwork = kind !== 'in process'
  const pair = async (): Promise<[Duplex, Duplex]> => await PAIRS[kind]()

  it('carries bytes and a half-close', async () => {
    const [a, b] = (await pair()).map((end) => open(end)) as [Connection, Connection]
    await a.write(Buffer.from('quest'))
    await a.end(Buffer.from('ion'))
    expect(await received(b)).toBe('question')
    await b.end()
    expect(await received(a)).toBe('')
    expect([a.written, b.written, a.inProcess]).toEqual([8, 0, !onNetwork])
  })

  it('sends more than fits, in pieces', async () => {
    const [a, b] = (await pair()).map((end) => open(end)) as [Connection, Connection]
    const bytes = Buffer.alloc(5_000_000, '0123456789')
    const [text] = await Promise.all([received(b), a.end(bytes)])
    expect(text === bytes.toString()).toBe(true)
  })

  it('gives up on a peer that sends nothing', async () => {
    const [a] = await pair()
    const error = await rejected(received(open(a, 20)))
    expect(error.message).toBe('peer: no data in 0.02 s')
    expect(error).toMatchObject({ code: 'E_TIMEOUT', retryable: true })
  })

  it('waits longer for the first bytes than for the next', async () => {
    const [a, b] = await pair()
    setTimeout(() => b.write('late'), 100)
    const chunks = open(a, 20).chunks(5_000)
    expect(Buffer.from((await chunks.next()).value ?? []).toString()).toBe('late')
    expect((await rejected(chunks.next())).code).toBe('E_TIMEOUT')
  })

  it('gives up on a peer that sends a byte now and then', async () => {
    const [a, b] = await pair()
    const drip = setInterval(() => b.write('x'), 10)
    closers.push(() => clearInterval(drip))
    const error = await rejected(received(open(a, 400)))
    expect(error.message).toMatch(/^peer: no more than \d+ bytes in 0.4 s$/)
    expect(error).toMatchObject({ code: 'E_TIMEOUT', retryable: true })
  })

  it('waits for a peer that sends slowly, and has time for what it sent', async () => {
    const [a, b] = await pair()
    let left = 10
    const send = setInterval(() => (left-- > 0 ? b.write('x'.repeat(1024)) : b.end()), 20)
    closers.push(() => clearInterval(send))
    let bytes = 0
    for await (const chunk of open(a, 500).chunks()) {
      bytes += chunk.length
      if (left === 5) await new Promise((resolve) => setTimeout(resolve, 600))
    }
    expect(bytes).toBe(10_240)
  })

  it('gives up on a peer that reads nothing', async () => {
    const [a] = await pair()
    const error = await rejected(open(a, 50).end(Buffer.alloc(64_000_000)))
    expect(error).toMatchObject({ code: 'E_TIMEOUT', message: 'peer: no room for data in 0.05 s' })
  })

  it('is ended by its signal, with its reason', async () => {
    const [a, b] = await pair()
    const stop = new AbortController()
    const reading = rejected(received(open(a, 5_000, stop.signal)))
    await turn()
    const reason = new SnapError('E_INTERRUPTED', 'stopped')
    stop.abort(reason)
    expect(await reading).toBe(reason)
    expect((await rejected(received(open(b)))).code).toBe(onNetwork ? 'E_CUT' : 'E_INTERRUPTED')
  })

  it('ends at once if its signal was aborted before', async () => {
    const [a] = await pair()
    const error = await rejected(open(a, 5_000, AbortSignal.abort()).write(Buffer.from('x')))
    expect(error.code).toBe('E_INTERRUPTED')
  })

  it('tells the other end that it failed', async () => {
    const [a, b] = await pair()
    const failure = new SnapError('E_SOURCE', 'broken source')
    const connection = open(a)
    const other = open(b)
    const chunks = other.chunks()
    await connection.write(Buffer.from('half'))
    await chunks.next()
    const reading = rejected(chunks.next())
    connection.fail(failure)
    connection.fail(new SnapError('E_FAILED', 'later'))
    expect(await rejected(connection.end())).toBe(failure)
    const error = await reading
    if (onNetwork) expect(error).toMatchObject({ code: 'E_CUT', retryable: true })
    else expect(error).toBe(failure)
    if (!other.signal.aborted) await once(other.signal, 'abort')
    expect(other.signal.reason).toBe(error)
  })

  it('aborts its signal when it is closed', async () => {
    const [a, b] = await pair()
    const connection = open(a)
    b.destroy()
    connection.close()
    await turn()
    await turn()
    expect(connection.signal.aborted).toBe(true)
    expect(open(a).signal.aborted).toBe(true)
  })

  it('gives a sink that leaves the connection open', async () => {
    const [a, b] = (await pair()).map((end) => open(end)) as [Connection, Connection]
    const sink = a.sink()
    sink.end('from a store')
    await once(sink, 'finish')
    await a.end(Buffer.from('!'))
    expect(await received(b)).toBe('from a store!')
  })

  it('fails its sink when it fails', async () => {
    const [a] = await pair()
    const connection = open(a)
    const sink = connection.sink()
    const failed = new Promise((resolve) => sink.once('close', resolve))
    const failure = new SnapError('E_TIMEOUT', 'too slow')
    connection.fail(failure)
    sink.write('x')
    await failed
    expect(sink.errored).toBe(failure)
  })
}

it('uses memory again that was sent to a reader in this process', async () => {
  const [a, b] = duplexPair()
  const sent = takeBuffer()
  const sending = open(a).end(sent)
  const chunks = open(b).chunks(undefined, { reused: true })
  const first: unknown = (await chunks.next()).value
  expect(first).toHaveLength(sent.length)
  const others = takeBuffer()
  expect(others.buffer).not.toBe(sent.buffer)
  await chunks.next()
  await sending
  expect(takeBuffer().buffer).toBe(sent.buffer)
})

/** A stream that takes each write when it is told to. */
function reluctant() {
  const takers: (() => void)[] = []
  const duplex = new Duplex({
    highWaterMark: 1,
    read() {},
    write: (_chunk, _encoding, callback) => void takers.push(callback),
  })
  closers.push(() => duplex.destroy())
  return { duplex, takers }
}

describe('Connection', () => {
  it('has one piece to send while the next is made, and no more', async () => {
    const { duplex, takers } = reluctant()
    const connection = open(duplex)
    await connection.write(Buffer.alloc(8))
    let isSecond = false
    const second = connection.write(Buffer.alloc(8)).then(() => {
      isSecond = true
    })
    await turn()
    expect([isSecond, takers.length]).toEqual([false, 1])
    takers.shift()?.()
    await second
    expect(duplex.writableLength).toBe(8)
  })

  it('waits for each of the last pieces for the idle time', async () => {
    const { duplex, takers } = reluctant()
    const connection = open(duplex, 300)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    await connection.write(Buffer.alloc(8))
    const ended = connection.end(Buffer.alloc(8))
    for (const _ of [1, 2]) {
      await vi.advanceTimersByTimeAsync(200)
      takers.shift()?.()
    }
    await ended
    expect(connection.signal.aborted).toBe(false)
  })

  it('closes what knows no reset', async () => {
    const [client, peer] = await socketPair(join(await tempDir(), 'socket'))
    const other = once(peer.resume(), 'close')
    open(peer)
    open(client).fail(new SnapError('E_FAILED', 'broken'))
    peer.end()
    await other
    expect(client.destroyed).toBe(true)
  })

  it('refuses a stream that gives no bytes', async () => {
    const [a, b] = duplexPair()
    a.setEncoding('utf8')
    b.end('text')
    expect((await rejected(received(open(a)))).message).toBe('peer: connection broken')
  })

  it('tells a connection that timed out from one that was cut', async () => {
    const [a] = duplexPair()
    const reading = rejected(received(open(a)))
    await turn()
    a.destroy(Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' }))
    expect((await reading).code).toBe('E_TIMEOUT')
  })

  it('takes the word of whoever knows the errors below', async () => {
    const [a] = duplexPair()
    const explain = (error: unknown) => new SnapError('E_CONNECT', `refused: ${error}`)
    const connection = new Connection(a, { name: 'peer', idle: 5_000, explain })
    const reading = rejected(received(connection))
    await turn()
    a.destroy(new Error('alert'))
    expect(await reading).toMatchObject({ code: 'E_CONNECT', message: 'refused: Error: alert' })
  })
})
