import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { encodeData } from '../../src/meta/index.ts'
import { encodeOpening, encodeUploadOpening, RequestType } from '../../src/protocol/index.ts'
import { receive } from '../client/peer.ts'
import { entry, tarOf } from '../client/tars.ts'
import { until } from '../helpers/until.ts'
import { sampleData } from '../meta/samples.ts'
import { rejected } from '../protocol/thrown.ts'
import { DATABASE, emptyStore, sampleStore, serve } from './harness.ts'

/** Connects as a peer that does what it likes. */
async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Sends bytes and returns the answer; ends its own side only if told to. */
async function exchange(port: number, bytes: string | Uint8Array, end = false) {
  const socket = await open(port)
  const answer = receive(socket)
  if (end) socket.end(bytes)
  else socket.write(bytes)
  return await answer
}

const NOTHING = { bytes: Buffer.alloc(0), end: 'end' }
const MAGIC = '0000000059590101'
const NO_PAIRS = Buffer.from(`${MAGIC}0000000000000000`, 'hex')

describe('Service, asked for nonsense', () => {
  it.each([
    [
      'another multiplexer byte',
      'GET / HTTP/1.1\r\n\r\n',
      /expected the multiplexer byte 3, got 71/,
    ],
    ['an unknown type', '\x03\x08{}\n', /unknown request type 8/],
    ['the highest type', '\x03\xff{}\n', /unknown request type/],
    ['no object', '\x03\x03["invalid request"]', /expected a JSON object, got byte 91/],
    ['no JSON', '\x03\x03{"Type"}', /request is not JSON/],
    ['a field of another type', '\x03\x00{"ShardID":"5"}', /ShardID is "5"/],
    [
      'a size that would take all memory',
      '\x03\x06{"UploadSize":9223372036854775807}\n',
      /UploadSize/,
    ],
    ['a negative size', '\x03\x06{"UploadSize":-1}\n', /UploadSize is -1/],
    ['a request that never ends', `\x03\x03${'{"":'.repeat(20_000)}`, /./],
    [
      'a request that is too long',
      `\x03\x03{"BackupDatabase":"${'}'.repeat(70_000)}"}`,
      /more than 65536/,
    ],
    ['nothing but spaces', `\x03\x03${' '.repeat(70_000)}`, /expected a JSON object/],
  ])('answers nothing to %s, and says why in its log', async (_what, bytes, pattern) => {
    const { port, log } = await serve(sampleStore(), { limits: { header: 300 } })
    const { bytes: answer } = await exchange(port, Buffer.from(bytes, 'latin1'))
    expect(answer.length).toBe(0)
    expect(await log.line(/^error: /)).toMatch(pattern)
  })

  it('answers nothing to a request that was cut', async () => {
    const { port, log } = await serve(sampleStore())
    expect(await exchange(port, '\x03\x03{"BackupData', true)).toEqual(NOTHING)
    expect(await exchange(port, '\x03', true)).toEqual(NOTHING)
    expect(await exchange(port, '\x03\x07\x00\x00', true)).toMatchObject({ end: 'end' })
    expect(await exchange(port, '\x03\x06{"UploadSize":10}\n12345', true)).toEqual(NOTHING)
    await log.line(/error: .*expected 11 bytes, ended after 6/)
  })

  it('says nothing about a port probe', async () => {
    const { port, log, service } = await serve(sampleStore())
    expect(await exchange(port, '', true)).toEqual(NOTHING)
    await service.close(1000)
    expect(log.lines).toEqual([])
  })

  const SLOW = process.env['SLOW'] === '1'

  it('lives through anything', { timeout: SLOW ? 600_000 : 30_000 }, async () => {
    const { port, client } = await serve(sampleStore(), { limits: { header: 500, idle: 500 } })
    const start = fc.constantFrom('', '\x03', '\x03\x00{', '\x03\x06{"UploadSize":5}\n', '\x03\x07')
    const peer = fc.tuple(start, fc.uint8Array({ maxLength: 40 }), fc.boolean())
    await fc.assert(
      fc.asyncProperty(fc.array(peer, { minLength: 30, maxLength: 30 }), async (peers) => {
        const exchanges = peers.map(([text, bytes, end]) =>
          exchange(port, Buffer.concat([Buffer.from(text, 'latin1'), bytes]), end),
        )
        await Promise.all(exchanges)
      }),
      { numRuns: SLOW ? 100 : 2 },
    )
    expect((await client('tcp').databaseInfo()).Paths).toHaveLength(3)
  })
})

describe('Service, asked in other ways than Go', () => {
  const INFO = '{"BackupDatabase":"_internal"}'
  const ANSWER = { bytes: Buffer.from('{"Paths":["_internal/monitor/1"]}\n'), end: 'end' }

  it.each([
    ['without a newline', `\x03\x03${INFO}`],
    ['after spaces', `\x03\x03 \r\n\t${INFO}`],
    [
      'in small letters and with other keys',
      '\x03\x03{"x":{"}":"}"},"backupdatabase":"_internal"}\n',
    ],
    ['with more bytes after it', `\x03\x03${INFO}\n${'x'.repeat(100_000)}`],
    [
      'with a payload that nobody needs',
      '\x03\x03{"BackupDatabase":"_internal","UploadSize":9}\n12',
    ],
  ])('answers a request %s', async (_how, bytes) => {
    const { port } = await serve(sampleStore())
    expect(await exchange(port, bytes)).toEqual(ANSWER)
    expect(await exchange(port, bytes, true)).toEqual(ANSWER)
  })

  it('answers a request that comes byte by byte', async () => {
    const { port } = await serve(sampleStore())
    const socket = await open(port)
    const answer = receive(socket)
    for (const byte of Buffer.from(`\x03\x03${INFO}`)) {
      socket.write(Uint8Array.of(byte))
      await delay(1)
    }
    expect(await answer).toEqual(ANSWER)
  })

  it('drops one byte after the JSON of an upload, whatever it is', async () => {
    const meta = encodeData(sampleData())
    const json = JSON.stringify({ BackupDatabase: DATABASE, UploadSize: meta.length })
    for (const between of ['\n', 'x', '\0']) {
      const { port } = await serve(emptyStore())
      const request = Buffer.concat([Buffer.from(`\x03\x06${json}${between}`), meta])
      const { bytes, end } = await exchange(port, request)
      expect(bytes.subarray(0, 16).toString('hex')).toBe(`${MAGIC}0000000000000003`)
      expect(end).toBe('end')
    }
  })

  it('maps nothing for an upload without a payload', async () => {
    const { port } = await serve(emptyStore())
    const bytes = encodeOpening({ Type: RequestType.MetaStoreUpdate })
    expect(await exchange(port, bytes)).toEqual({ bytes: NO_PAIRS, end: 'end' })
  })

  it('answers a request for the series file by a tar without files', async () => {
    const { port, log } = await serve(sampleStore())
    const empty = { bytes: Buffer.alloc(1024), end: 'end' }
    expect(await exchange(port, '\x03\x02{}\n')).toEqual(empty)
    expect(await exchange(port, '\x03\x02{"BackupDatabase":"_internal"}\n')).toEqual(empty)
    expect(await exchange(port, '\x03\x02{"BackupDatabase":"no db"}\n')).toEqual(NOTHING)
    await log.line(/error: .*SeriesFileBackup "no db": database not found/)
  })
})

describe('Service, kept waiting', () => {
  it('resets a peer whose request is not whole in time, however it trickles', async () => {
    const { port, log } = await serve(sampleStore(), { limits: { header: 50 } })
    const socket = await open(port)
    const answer = receive(socket)
    socket.write('\x03\x03{"BackupDatabase":"')
    const trickle = setInterval(() => socket.write('x'), 10)
    expect(await answer).toEqual({ bytes: Buffer.alloc(0), end: 'reset' })
    clearInterval(trickle)
    await log.line(/error: .*no request in 0.05 s/)
    const silent = await open(port)
    expect((await receive(silent)).end).toBe('reset')
  })

  it('resets a peer that stops in the middle of a metastore', async () => {
    const { port, log } = await serve(sampleStore(), { limits: { idle: 300 } })
    const { end } = await exchange(port, '\x03\x06{"UploadSize":10}\n12345')
    expect(end).toBe('reset')
    await log.line(/error: .*no data in 0.3 s/)
  })

  it('refuses a metastore for which the others leave no room, until they are gone', async () => {
    const meta = encodeData(sampleData())
    const limits = { metadata: meta.length + 1000 }
    const { port, log, client } = await serve(emptyStore(), { limits })
    const greedy = await open(port)
    greedy.write(`\x03\x06{"UploadSize":1001}\n`)
    const request = { BackupDatabase: DATABASE }
    // What came before is read by the time that this is answered.
    await client('tcp').databaseInfo()
    const refused = await rejected(client('tcp').updateMeta(request, [meta]))
    expect(refused.code).toBe('E_DESTINATION')
    await log.line(/error: .*a metastore of \d+ bytes: with the others it is more than \d+/)
    greedy.destroy()
    await log.line(/error: .*reset by the peer|error: .*ended after/)
    await expect.poll(async () => (await client('tcp').updateMeta(request, [meta])).size).toBe(3)
  })

  it('resets a peer that takes too long over a metastore', async () => {
    const { port, log } = await serve(sampleStore(), { limits: { upload: 60 } })
    const socket = await open(port)
    const answer = receive(socket)
    socket.write('\x03\x06{"UploadSize":100000}\n')
    const trickle = setInterval(() => socket.write('x'), 10)
    expect((await answer).end).toBe('reset')
    clearInterval(trickle)
    await log.line(/error: .*no end of the metastore in 0.06 s/)
  })

  it('resets a peer that reads nothing', async () => {
    const store = sampleStore()
    store.addShard(`${DATABASE}/autogen/11`, { 'big.tsm': 'x'.repeat(30_000_000) })
    const { port, log } = await serve(store, { limits: { idle: 300 } })
    const socket = await open(port)
    socket.pause()
    socket.write('\x03\x00{"ShardID":11}\n')
    await log.line(/error: .*no room for data in 0.3 s/)
  })

  it.each([
    ['stops', { idle: 300 }, /no data in 0.3 s/, 0],
    ['takes too long', { upload: 60 }, /no end of the upload in 0.06 s/, 10],
  ])('puts a shard back into use when the peer %s', async (_how, limits, pattern, interval) => {
    const store = sampleStore()
    const { port, log } = await serve(store, { limits })
    const socket = await open(port)
    const answer = receive(socket)
    const tar = await tarOf(entry('db/rp/10/x.tsm', 'x'.repeat(100_000)))
    socket.write(Buffer.concat([encodeUploadOpening(10n), tar.subarray(0, 1000)]))
    const trickle = interval > 0 ? setInterval(() => socket.write('x'), interval) : undefined
    expect((await answer).end).toBe('reset')
    clearInterval(trickle)
    expect(await log.line(/error: .*ShardUpdate 10/)).toMatch(pattern)
    expect(store.changes).toEqual(['disable 10', 'enable 10'])
  })

  it('lets a peer that never ends go after a while', async () => {
    const { port } = await serve(sampleStore(), { limits: { idle: 300 } })
    const socket = await open(port)
    const answer = receive(socket)
    socket.write('\x03\x03{}\n')
    expect((await answer).end).toBe('end')
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const trickle = setInterval(() => socket.write('x'), 10)
    await closed
    clearInterval(trickle)
  })
})

describe('Service, uploaded to', () => {
  it('ends regularly after a trailer that is padded, and before the peer has ended', async () => {
    const store = sampleStore()
    store.restoreShard = async (_id: bigint, r: AsyncIterable<Uint8Array>) => {
      let size = 0
      for await (const chunk of r) {
        size += chunk.length
        if (size >= 1024) break
      }
    }
    const { port } = await serve(store)
    const padded = Buffer.concat([encodeUploadOpening(10n), new Uint8Array(10_240)])
    expect(await exchange(port, padded)).toEqual(NOTHING)
    const socket = await open(port)
    const answer = receive(socket)
    socket.write(padded.subarray(0, 2000))
    await delay(20)
    socket.end(padded.subarray(2000))
    expect(await answer).toEqual(NOTHING)
  })

  it('puts a shard back into use when the peer breaks off', async () => {
    const store = sampleStore()
    const { port, log } = await serve(store)
    const socket = await open(port)
    const tar = await tarOf(entry('db/rp/10/x.tsm', 'x'.repeat(100_000)))
    socket.write(Buffer.concat([encodeUploadOpening(10n), tar.subarray(0, 50_000)]))
    await until(() => store.changes.length > 0)
    socket.resetAndDestroy()
    await log.line(/error: .*ShardUpdate 10/)
    expect(store.changes).toEqual(['disable 10', 'enable 10'])
  })

  it('resets, and does not end, when the tar is bad', async () => {
    const store = sampleStore()
    const { port, log } = await serve(store)
    const tar = await tarOf(entry('db/rp/10/x.tsm', 'x'.repeat(1000)))
    for (const bad of [tar.subarray(0, -512), tar.subarray(0, 700), Buffer.alloc(2048, 'x')]) {
      const { end } = await exchange(port, Buffer.concat([encodeUploadOpening(10n), bad]), true)
      expect(end).toBe('reset')
    }
    await log.line(/error: .*ShardUpdate 10/)
    expect(store.shards.get(10n)?.files.has('x.tsm')).toBe(false)
  })

  it('takes one upload per shard at a time, and others meanwhile', async () => {
    const store = sampleStore()
    const { port, log } = await serve(store)
    const opening = encodeUploadOpening(10n)
    const first = await open(port)
    const firstEnd = receive(first)
    first.write(opening)
    await until(() => store.changes.length > 0)
    expect((await exchange(port, Buffer.concat([opening, new Uint8Array(1024)]), true)).end).toBe(
      'reset',
    )
    await log.line(/error: .*shard 10: another upload to it is running/)
    const other = Buffer.concat([encodeUploadOpening(1n), new Uint8Array(1024)])
    expect(await exchange(port, other, true)).toEqual(NOTHING)
    first.end(new Uint8Array(1024))
    expect(await firstEnd).toEqual(NOTHING)
    expect(await exchange(port, Buffer.concat([opening, new Uint8Array(1024)]), true)).toEqual(
      NOTHING,
    )
  })
})

describe('Service, failing', () => {
  it('ends without a byte if nothing was sent', async () => {
    const { port } = await serve(sampleStore())
    expect(await exchange(port, '\x03\x00{"ShardID":99}\n')).toEqual(NOTHING)
  })

  it('resets if something was sent', async () => {
    const store = sampleStore()
    store.exportShard = async (_id: bigint, _start: bigint, _end: bigint, w: Writable) => {
      w.write('half a tar')
      await delay(20)
      throw new Error('disk broke')
    }
    const { port, log } = await serve(store)
    const { bytes, end } = await exchange(port, '\x03\x05{"ShardID":10}\n')
    expect([bytes.toString(), end]).toEqual(['half a tar', 'reset'])
    await log.line(/error: .*ShardExport shard 10: failed: disk broke/)
  })
})
