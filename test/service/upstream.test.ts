import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fc } from '@fast-check/vitest'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { encodeData } from '../../src/meta/index.ts'
import { decodeRequest, encodeUploadOpening } from '../../src/protocol/index.ts'
import { PeerServer, type ServiceLimits, upstreamAnswerer } from '../../src/service/index.ts'
import { TarEnd } from '../../src/service/tar-end.ts'
import { answering, listen, receive } from '../client/peer.ts'
import { entry, streamOf, tarOf } from '../client/tars.ts'
import { tempDir } from '../helpers/temp.ts'
import { sampleData } from '../meta/samples.ts'
import { rejected } from '../protocol/thrown.ts'
import { tsmBytes } from '../tsm/files.ts'
import { DATABASE, emptyStore, Log, sampleStore, serve } from './harness.ts'
import type { MemoryStore } from './memory-store.ts'

interface DoorOptions {
  readonly readOnly?: boolean
  readonly limits?: Partial<ServiceLimits>
}

/** Stands in front of the server at `host`. */
async function standBefore(host: string, { readOnly = false, limits = {} }: DoorOptions = {}) {
  const log = new Log()
  const temp = await tempDir('uploads')
  const client = new Client(host, { connect: 2000, firstByte: 3000, idle: 3000 })
  const answerer = upstreamAnswerer({ client, readOnly, tempDir: temp })
  const door = new PeerServer(answerer, { port: 0, logger: log, limits })
  await door.open()
  onTestFinished(() => door.close(0))
  const port = door.address?.port ?? 0
  return { log, temp, port, client: new Client(`127.0.0.1:${port}`) }
}

async function inFrontOf(store: MemoryStore, options: DoorOptions = {}) {
  const behind = await serve(store)
  return { behind, store, ...(await standBefore(behind.host, options)) }
}

async function exchange(port: number, bytes: string | Uint8Array, end = false) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  const answer = receive(socket)
  if (end) socket.end(bytes)
  else socket.write(bytes)
  return await answer
}

/** A TSM file of so many blocks of 1,000 points, each of some 7 KiB. */
async function tsm(blocks = 1): Promise<Buffer> {
  const written = Array.from({ length: blocks }, (_, block) => ({
    type: 'float' as const,
    times: BigInt64Array.from({ length: 1000 }, (_, i) => BigInt(block * 1000 + i)),
    values: Float64Array.from({ length: 1000 }, (_, i) => Math.sin(block * 1000 + i)),
  }))
  return await tsmBytes([['m#!~#value', written]])
}

const SHARD = { database: DATABASE, retentionPolicy: 'autogen', shardId: 10 }
const NOTHING = { bytes: Buffer.alloc(0), end: 'end' }

describe('in front of another server', () => {
  it('answers are those of the server behind, byte for byte', async () => {
    const { client, behind } = await inFrontOf(sampleStore(), { readOnly: true })
    const direct = behind.client('tcp')
    expect(await client.metastoreBytes()).toEqual(await direct.metastoreBytes())
    expect(await client.databaseInfo()).toEqual(await direct.databaseInfo())
    expect(await client.retentionPolicyInfo(DATABASE, 'autogen')).toEqual(
      await direct.retentionPolicyInfo(DATABASE, 'autogen'),
    )
    expect(await text(client.shardBackup(SHARD))).toBe(await text(direct.shardBackup(SHARD)))
    const range = { ...SHARD, start: 5n, end: 2n ** 60n }
    expect(await text(client.shardExport(range))).toBe(await text(direct.shardExport(range)))
  })

  it('metadata updates and uploads go on to it', async () => {
    const { client, store } = await inFrontOf(emptyStore())
    const ids = await client.updateMeta({ BackupDatabase: DATABASE }, [encodeData(sampleData())])
    expect(ids.size).toBe(3)
    const id = ids.get(10n) ?? 0n
    const file = await tsm(1300)
    const tar = await tarOf(entry('a/b/10/1.tsm', file), entry('a/b/10/1.tombstone', ''))
    await client.uploadShard(10, id, DATABASE, 'autogen', streamOf(tar, 70_000))
    const files = store.shards.get(id)?.files
    expect([...(files?.keys() ?? [])]).toEqual(['1.tsm', '1.tombstone'])
    expect(file.length).toBeGreaterThan(9_000_000)
    expect(files?.get('1.tsm')?.bytes.equals(file)).toBe(true)
  })

  it('what would change it is refused, unless it may', async () => {
    const { client, port, store, log, behind } = await inFrontOf(sampleStore(), { readOnly: true })
    const refused = client.updateMeta({ BackupDatabase: DATABASE }, [encodeData(sampleData())])
    expect((await rejected(refused)).code).toBe('E_DESTINATION')
    const upload = client.uploadShard(1, 10, DATABASE, '', streamOf(await tarOf()))
    expect((await rejected(upload)).code).toBe('E_DESTINATION')
    await log.line(/warn: .*MetaStoreUpdate "tele.graf db": refused: open for reading only/)
    await log.line(/error: .*ShardUpdate 10: open for reading only/)
    // Before a byte of what was announced is there.
    const { bytes } = await exchange(port, '\x03\x06{"UploadSize":60000000}\n')
    expect(bytes.length).toBe(16)
    expect(store.changes).toEqual([])
    expect(behind.log.lines).toEqual([])
  })

  it.each([
    [
      'a size that would take all memory',
      '\x03\x06{"UploadSize":9223372036854775807}\n',
      /UploadSize/,
    ],
    ['the same beside another type', '\x03\x00{"UploadSize":9223372036854775807}\n', /UploadSize/],
    ['a type that influxd does not answer', '\x03\x02{}\n', /type 2 is not passed on/],
    ['an unknown type', '\x03\x63{}\n', /type 99 is not passed on/],
    ['another protocol', 'GET / HTTP/1.1\r\n\r\n', /expected the multiplexer byte/],
    ['half a request', '\x03\x03{"Backup', /expected a byte/],
    ['no JSON', '\x03\x03{"Type"}\n', /is not JSON/],
    ['a payload that is cut', '\x03\x06{"UploadSize":100}\n12345', /ended after 6/],
  ])('%s never reaches it', async (_what, bytes, pattern) => {
    const behind = await listen(() => {})
    const { port, log } = await standBefore(behind.host)
    expect(await exchange(port, Buffer.from(bytes, 'latin1'), true)).toEqual(NOTHING)
    await log.line(pattern)
    expect(behind.connections()).toBe(0)
  })

  it('requests arrive as our own client writes them', async () => {
    const received: Buffer[] = []
    const behind = await answering(new Uint8Array(1024), (request) => received.push(request))
    const { port } = await standBefore(behind.host)
    await exchange(port, '\x03\x05 {"shardid":10,"evil":"x","SnapTrailer":1,"UploadSize":5}\n')
    await exchange(
      port,
      '\x03\x05{"ShardID":10,"ExportEnd":"1970-01-01T00:00:01Z","SnapTrailer":2}',
    )
    const [first, second] = received.map((bytes) => decodeRequest(bytes.subarray(2)))
    expect(first).toMatchObject({ Type: 5, ShardID: 10n, UploadSize: 0, Since: undefined })
    expect([first?.ExportStart, first?.ExportEnd]).toEqual([-(2n ** 63n) + 2n, 2n ** 63n - 2n])
    expect([...(first?.extra.keys() ?? [])]).toEqual(['SnapTrailer'])
    expect(second?.ExportEnd).toBe(1_000_000_000n)
    expect(second?.extra.size).toBe(0)
    expect(received[0]?.at(-1)).toBe(0x0a)
  })

  describe('when it fails', () => {
    it('an answer without bytes stays one', async () => {
      const { port, log, behind } = await inFrontOf(sampleStore())
      expect(await exchange(port, '\x03\x00{"ShardID":99}\n')).toEqual(NOTHING)
      await log.line(/error: .*ShardBackup shard 99: the server behind gave no answer/)
      await behind.service.close(0)
      expect(await exchange(port, '\x03\x03{}\n')).toEqual(NOTHING)
      await log.line(/error: .*cannot connect/)
    })

    it.each([
      ['0', 'half a tar'],
      ['0', '\0'.repeat(512)],
      ['5', `${'x'.repeat(512)}${'\0'.repeat(512)}`],
    ])('a tar of type %s that ends early is reset', async (type, answer) => {
      const behind = await answering(answer)
      const { port, log } = await standBefore(behind.host)
      const request = Buffer.concat([Buffer.from([3, Number(type)]), Buffer.from('{}\n')])
      const { bytes, end } = await exchange(port, request)
      expect([bytes.toString(), end]).toEqual([answer, 'reset'])
      await log.line(/error: .*the server behind broke off after \d+ bytes/)
    })

    it('a reset in the middle is one', async () => {
      const behind = await listen(async (socket) => {
        socket.write(Buffer.alloc(3000, 'x'))
        await delay(50)
        void socket.resetAndDestroy()
      })
      const { port } = await standBefore(behind.host)
      expect((await exchange(port, '\x03\x00{}\n')).end).toBe('reset')
    })

    it('an upload is reset', async () => {
      const { client, store, temp } = await inFrontOf(sampleStore())
      store.restoreShard = async (_id, r) => {
        for await (const _ of r) throw new Error('disk broke')
      }
      const tar = streamOf(await tarOf(entry('a/b/1/x.tsm', await tsm())))
      const upload = client.uploadShard(1, 10, DATABASE, 'autogen', tar)
      expect((await rejected(upload)).code).toBe('E_DESTINATION')
      expect(await readdir(temp)).toEqual([])
    })
  })

  describe('an upload', () => {
    const OPENING = encodeUploadOpening(10n)
    const PLACE = `${DATABASE}/autogen/10`

    it.each([
      ['leads out of the shard', `${PLACE}/../../../../evil.tsm`],
      ['is of another shard', `${DATABASE}/autogen/11/x.tsm`],
      ['is of another shard with the same beginning', `${DATABASE}/autogen/100/x.tsm`],
      ['is of another database', 'other/autogen/10/x.tsm'],
      ['is of another policy', `${DATABASE}/other/10/x.tsm`],
      ['is in a directory', `${PLACE}/index/x.tsm`],
      ['is no TSM file', `${PLACE}/x.sh`],
      ['has a backslash', `${PLACE}/..\\..\\x.tsm`],
    ])('with a name that %s is refused before it reaches the server', async (_how, name) => {
      const { port, store, log, temp } = await inFrontOf(sampleStore())
      const good = (await tarOf(entry(`${PLACE}/good.tsm`, 'x'))).subarray(0, -1024)
      const [head, ...rest] = [ustar(name), Buffer.alloc(1024)]
      const all = Buffer.concat([OPENING, good, head ?? Buffer.alloc(0), ...rest])
      expect((await exchange(port, all, true)).end).toBe('reset')
      await log.line(/error: .*ShardUpdate 10: .*(refused|expected a TSM file)/)
      expect(store.changes).toEqual([])
      expect(await readdir(temp)).toEqual([])
    })

    it('that is cut or rubbish is refused before it reaches the server', async () => {
      const { port, store } = await inFrontOf(sampleStore())
      const tar = await tarOf(entry(`${PLACE}/x.tsm`, 'x'.repeat(2000)))
      for (const bad of [tar.subarray(0, 700), tar.subarray(0, -512), Buffer.alloc(3000, 'x')]) {
        const { end } = await exchange(port, Buffer.concat([OPENING, bad]), true)
        expect(end).toBe('reset')
      }
      expect(store.changes).toEqual([])
    })

    it('that stalls keeps the shard of the server in use', async () => {
      const { port, store, log } = await inFrontOf(sampleStore(), { limits: { idle: 100 } })
      const tar = await tarOf(entry(`${PLACE}/x.tsm`, 'x'.repeat(100_000)))
      const { end } = await exchange(port, Buffer.concat([OPENING, tar.subarray(0, 50_000)]))
      expect(end).toBe('reset')
      await log.line(/error: .*ShardUpdate 10: .*no data in 0.1 s/)
      expect(store.changes).toEqual([])
    })

    it('that takes too long is given up', async () => {
      const { port, store, temp } = await inFrontOf(sampleStore(), { limits: { upload: 80 } })
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('error', () => {})
      const answer = receive(socket)
      socket.write(OPENING)
      const trickle = setInterval(() => socket.write(Buffer.alloc(10)), 10)
      expect((await answer).end).toBe('reset')
      clearInterval(trickle)
      expect(store.changes).toEqual([])
      expect(await readdir(temp)).toEqual([])
    })

    it('that is more than may wait in the temporary directory is refused', async () => {
      const limits = { spooled: 3_000_000 }
      const { client, log, store, temp } = await inFrontOf(sampleStore(), { limits })
      const upload = async (file: Buffer) => {
        const tar = await tarOf(entry(`${DATABASE}/autogen/10/9.tsm`, file))
        await client.uploadShard(10, 10, DATABASE, 'autogen', streamOf(tar, 70_000))
      }
      expect((await rejected(upload(await tsm(600)))).code).toBe('E_DESTINATION')
      await log.line(/error: .*ShardUpdate 10: .*with the other uploads it is more than 3000000/)
      expect(store.changes).toEqual([])
      const fits = await tsm(300)
      for (let time = 0; time < 2; time++) await upload(fits)
      expect(store.shards.get(10n)?.files.get('9.tsm')?.bytes.equals(fits)).toBe(true)
      expect(await readdir(temp)).toEqual([])
    })

    it('to a shard that is not there is refused', async () => {
      const { port, log } = await inFrontOf(sampleStore())
      const all = Buffer.concat([encodeUploadOpening(77n), Buffer.alloc(1024)])
      expect((await exchange(port, all, true)).end).toBe('reset')
      await log.line(/error: .*the server behind has no shard 77/)
    })

    it('is the only one to its shard', async () => {
      const { port, log, client, store } = await inFrontOf(sampleStore())
      const first = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      first.on('error', () => {})
      first.write(OPENING)
      await delay(100)
      const second = await exchange(port, Buffer.concat([OPENING, Buffer.alloc(1024)]), true)
      expect(second.end).toBe('reset')
      await log.line(/shard 10: another upload to it is running/)
      expect((await client.databaseInfo()).Paths).toHaveLength(3)
      first.end(Buffer.alloc(1024))
      expect((await receive(first)).end).toBe('end')
      expect(store.changes).toEqual(['disable 10', 'restore 10', 'enable 10'])
    })

    it('may have a padded trailer, as those of GNU tar have', async () => {
      const { port, store } = await inFrontOf(sampleStore())
      const file = await tsm()
      const tar = await tarOf(entry(`${PLACE}/x.tsm`, file))
      const padded = Buffer.concat([OPENING, tar, Buffer.alloc(10_240)])
      expect((await exchange(port, padded, true)).end).toBe('end')
      expect(store.shards.get(10n)?.files.get('x.tsm')?.bytes.equals(file)).toBe(true)
    })

    it('of a damaged file is refused before it reaches the server', async () => {
      const { port, store, log } = await inFrontOf(sampleStore())
      const bad = await tsm()
      bad.writeUInt8(bad.readUInt8(100) ^ 1, 100)
      for (const file of [
        entry(`${PLACE}/x.tsm`, bad),
        entry(`${PLACE}/x.tsm`, 'evil!'),
        entry(`${PLACE}/x.tombstone`, '\x15\x02'),
      ]) {
        const all = Buffer.concat([OPENING, await tarOf(file)])
        expect((await exchange(port, all, true)).end).toBe('reset')
      }
      await log.line(/error: .*ShardUpdate 10: .*x\.tsm.*crc/i)
      await log.line(/error: .*ShardUpdate 10: .*x\.tsm: 5 bytes are no TSM file/)
      await log.line(/error: .*ShardUpdate 10: .*x\.tombstone/)
      expect(store.changes).toEqual([])
    })

    it('takes the name of no file that is there, but of an equal one', async () => {
      const { store, log, client } = await inFrontOf(sampleStore())
      const [file, other] = [await tsm(), await tsm(2)]
      store.addShard(PLACE, { 'x.tsm': file, 'deleted.tsm': file, 'deleted.tombstone': '' })
      const upload = async (name: string, bytes: Buffer) => {
        const tar = await tarOf(entry(`${PLACE}/${name}`, bytes))
        await client.uploadShard(10, 10, DATABASE, 'autogen', streamOf(tar))
      }
      expect((await rejected(upload('x.tsm', other))).code).toBe('E_DESTINATION')
      await log.line(/ShardUpdate 10: .*x\.tsm: the server behind has another one/)
      expect((await rejected(upload('deleted.tsm', file))).code).toBe('E_DESTINATION')
      await log.line(/deleted\.tombstone: the server behind has another one/)
      expect(store.changes).toEqual([])
      await upload('x.tsm', file)
      await upload('y.tsm', other)
      expect([...(store.shards.get(10n)?.files.keys() ?? [])].sort()).toEqual([
        'deleted.tombstone',
        'deleted.tsm',
        'x.tsm',
        'y.tsm',
      ])
    })
  })

  it('a peer that reads slowly is waited for, and nothing is piled up for it', async () => {
    const store = sampleStore()
    store.addShard(`${DATABASE}/autogen/11`, { 'big.tsm': 'x'.repeat(40_000_000) })
    const { port } = await inFrontOf(store)
    const socket = connect({ port, host: '127.0.0.1' })
    socket.write('\x03\x00{"ShardID":11}\n')
    socket.pause()
    const memory = process.memoryUsage().arrayBuffers
    await delay(300)
    expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(30_000_000)
    let size = 0
    for await (const chunk of socket) size += chunk.length
    expect(size).toBeGreaterThan(40_000_000)
  })

  it('a peer that leaves ends the request behind', async () => {
    const store = sampleStore()
    let aborted = false
    store.backupShard = async (_id, _since, w, signal) => {
      w.write('x')
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      aborted = true
      throw signal.reason
    }
    const { port } = await inFrontOf(store)
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write('\x03\x00{"ShardID":10}\n')
    await new Promise((resolve) => socket.once('data', resolve))
    socket.resetAndDestroy()
    await expect.poll(() => aborted).toBe(true)
  })
})

describe('TarEnd', () => {
  it('knows a trailer however it comes', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 20 })
    void fc.assert(
      fc.property(pieces, fc.nat({ max: 3 }), fc.nat({ max: 4 }), (sizes, blocks, zeros) => {
        const all = Buffer.concat([Buffer.alloc(512 * blocks, 'x'), Buffer.alloc(512 * zeros)])
        const end = new TarEnd()
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          end.pass(all.subarray(at, at + size))
          at += size
        }
        expect([end.size, end.isWhole]).toEqual([all.length, zeros >= 2])
      }),
    )
  })
})

/** A tar entry without contents and with any name at all. */
function ustar(name: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0, 100)
  header.write('0000644\0', 100)
  header.write('00000000000\0', 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}
