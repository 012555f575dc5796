import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { SnapError } from '../../src/errors.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { rejected } from '../protocol/thrown.ts'
import { listen, receive } from './peer.ts'
import { entry, streamOf, tarOf } from './tars.ts'

const FILES = [
  entry('db/rp/7/000000001-000000001.tsm', 'a'.repeat(2000)),
  entry('db/rp/7/b.tombstone', ''),
]
const OPENING = Buffer.from('0307000000000000000c', 'hex')

/** Takes uploads as influxd does and ends when the peer has. */
async function taking(before: (socket: Socket) => Promise<void> = async () => {}) {
  const uploads: Promise<{ bytes: Buffer; end: string }>[] = []
  const peer = await listen(async (socket) => {
    const upload = receive(socket)
    uploads.push(upload)
    await upload
    await before(socket)
    socket.end()
  })
  return { ...peer, client: new Client(peer.host), upload: async () => await uploads[0] }
}

async function upload(client: Client, tar: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
  await client.uploadShard(7n, 12, 'new db', '', tar, signal)
}

describe('Client.uploadShard', () => {
  it('sends the tar for its new place, with nothing after its trailer, and ends its side', async () => {
    const peer = await taking()
    await peer.client.uploadShard(7, 12n, 'new db', 'new rp', streamOf(await tarOf(...FILES)))
    const expected = await tarOf(
      entry('new db/new rp/12/000000001-000000001.tsm', 'a'.repeat(2000)),
      entry('new db/new rp/12/b.tombstone', ''),
    )
    expect(await peer.upload()).toEqual({ bytes: Buffer.concat([OPENING, expected]), end: 'end' })
  })

  it('keeps the names of the tar where none are given', async () => {
    const peer = await taking()
    await peer.client.uploadShard(
      7,
      12,
      '',
      '',
      streamOf(await tarOf(entry('a b/c d/7/x.tsm', 'x'))),
    )
    const expected = await tarOf(entry('a b/c d/12/x.tsm', 'x'))
    expect((await peer.upload())?.bytes.subarray(10).equals(expected)).toBe(true)
  })

  it('sends a tar without files as 1,024 zero bytes', async () => {
    const peer = await taking()
    await upload(peer.client, streamOf(new Uint8Array(1024)))
    const { bytes } = (await peer.upload()) ?? { bytes: Buffer.alloc(0) }
    expect(bytes.equals(Buffer.concat([OPENING, new Uint8Array(1024)]))).toBe(true)
  })

  it('waits until the server has ended', async () => {
    let finished = false
    const peer = await taking(async () => {
      await delay(50)
      finished = true
    })
    await upload(peer.client, streamOf(await tarOf(...FILES)))
    expect(finished).toBe(true)
  })

  it('sends nothing of a tar that is bad from its start', async () => {
    const peer = await taking()
    const rubbish = upload(peer.client, streamOf(Buffer.alloc(1024, 'x')))
    expect((await rejected(rubbish)).code).toBe('E_FORMAT')
    const empty = upload(peer.client, streamOf(new Uint8Array(0)))
    expect((await rejected(empty)).code).toBe('E_CUT')
    const foreign = upload(peer.client, streamOf(await tarOf(entry('db/rp/8/x.tsm', 'x'))))
    expect((await rejected(foreign)).message).toBe('entry db/rp/8/x.tsm: expected one of shard 7')
    expect(peer.connections()).toBe(0)
  })

  it.each([
    ['ends in a file', 3_000_000],
    ['ends between files', 3_000_832],
    ['ends in its trailer', 3_000_832 + 512],
  ])('resets the connection if the tar %s', async (_how, length) => {
    const peer = await taking()
    const tar = await tarOf(entry('db/rp/7/x.tsm', 'x'.repeat(3_000_000)))
    const error = await rejected(upload(peer.client, streamOf(tar.subarray(0, length), 65_536)))
    expect(error).toMatchObject({ code: 'E_CUT' })
    const { bytes } = (await peer.upload()) ?? { bytes: Buffer.alloc(0) }
    expect(bytes.subarray(-1024).equals(Buffer.alloc(1024))).toBe(false)
  })

  it('resets the connection if the source fails, and gives its error', async () => {
    const peer = await taking()
    const tar = await tarOf(entry('db/rp/7/x.tsm', 'x'.repeat(300_000)))
    const failure = new SnapError('E_INTEGRITY', 'bad block')
    const source = streamOf(tar.subarray(0, -1024), 65_536, failure)
    const error = await rejected(upload(peer.client, source))
    expect(error).toBe(failure)
    const { bytes } = (await peer.upload()) ?? { bytes: Buffer.alloc(0) }
    expect(bytes.subarray(-512).equals(Buffer.alloc(512))).toBe(false)
  })

  it.each([
    ['resets at once', (socket: Socket) => socket.resetAndDestroy()],
    ['ends at once', (socket: Socket) => socket.end()],
    ['ends and closes at once', (socket: Socket) => socket.destroy()],
  ])('does not take it for success if the server %s', async (_how, stop) => {
    const peer = await listen((socket) => {
      socket.once('data', () => stop(socket))
    })
    const slow = async function* () {
      const tar = await tarOf(entry('db/rp/7/x.tsm', 'x'.repeat(300_000)))
      for await (const chunk of streamOf(tar, 65_536)) {
        yield chunk
        await delay(10)
      }
    }
    const error = await rejected(upload(new Client(peer.host), slow()))
    expect(error).toMatchObject({ code: 'E_DESTINATION', retryable: false })
    expect(error.message).toBe(`${peer.host}: the server stopped the upload early`)
    expect(error.hint).toMatch(/no such shard.*log/)
  })

  it('does not take a reset after the trailer for success', async () => {
    const peer = await listen(async (socket) => {
      await receive(socket)
      socket.resetAndDestroy()
    })
    const error = await rejected(upload(new Client(peer.host), streamOf(await tarOf(...FILES))))
    expect(error).toMatchObject({ code: 'E_DESTINATION', retryable: false })
  })

  it('refuses a server that answers', async () => {
    const peer = await listen((socket) => {
      socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    const error = await rejected(upload(new Client(peer.host), streamOf(await tarOf(...FILES))))
    expect(error).toMatchObject({ code: 'E_PROTOCOL', retryable: false })
    expect(error.message).toMatch(/expected the end of the upload, got "HTTP/)
  })

  it('gives up on a server that never ends', async () => {
    const peer = await listen((socket) => void socket.resume())
    const client = new Client(peer.host, { uploadEnd: 30 })
    const error = await rejected(upload(client, streamOf(await tarOf(...FILES))))
    expect(error).toMatchObject({ code: 'E_TIMEOUT', retryable: false })
    expect(error.message).toBe(`${peer.host}: no end of the upload in 0.03 s`)
  })

  it('gives up on a server that reads nothing', async () => {
    const peer = await listen((socket) => void socket.pause())
    const client = new Client(peer.host, { idle: 50 })
    const big = await tarOf(entry('db/rp/7/x.tsm', 'x'.repeat(20_000_000)))
    const error = await rejected(upload(client, streamOf(big, 1_000_000)))
    expect(error).toMatchObject({ code: 'E_TIMEOUT', retryable: false })
  })

  it('stops when its signal is aborted', async () => {
    const peer = await listen((socket) => void socket.resume())
    const stop = new AbortController()
    setTimeout(() => stop.abort(new SnapError('E_INTERRUPTED', 'SIGINT')), 20)
    const tar = streamOf(await tarOf(...FILES))
    const error = await rejected(upload(new Client(peer.host), tar, stop.signal))
    expect(error).toMatchObject({ code: 'E_INTERRUPTED', message: 'SIGINT' })
  })

  it('gets the very error of a server in this process, and gives it the error of the source', async () => {
    const reason = new SnapError('E_TARGET_EXISTS', 'file is there')
    const refusing = new Client(async () => {
      const [near, far] = duplexPair()
      far.once('data', () => far.destroy(reason))
      return near
    })
    const tar = await tarOf(...FILES)
    expect(await rejected(upload(refusing, streamOf(tar)))).toBe(reason)
    const failure = new SnapError('E_INTEGRITY', 'bad block')
    let seen: Promise<unknown> = Promise.resolve()
    const taking = new Client(async () => {
      const [near, far] = duplexPair()
      seen = new Promise((resolve) => far.resume().once('error', resolve))
      return near
    })
    const big = await tarOf(entry('db/rp/7/x.tsm', 'x'.repeat(300_000)))
    const source = streamOf(big.subarray(0, 200_000), 65_536, failure)
    expect(await rejected(upload(taking, source))).toBe(failure)
    expect(await seen).toBe(failure)
  })
})
