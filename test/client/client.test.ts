import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { SnapError } from '../../src/errors.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { encodeData } from '../../src/meta/index.ts'
import {
  decodeRequest,
  encodeMetastoreFrame,
  encodeResponse,
  encodeShardIds,
  type ReceivedRequest,
} from '../../src/protocol/index.ts'
import { sampleData } from '../meta/samples.ts'
import { rejected } from '../protocol/thrown.ts'
import { answering, closedPort, listen, type Peer } from './peer.ts'

const SHARD = { database: 'a b', retentionPolicy: 'autogen', shardId: 2n ** 64n - 1n }
const META = encodeData(sampleData())
const FRAME = encodeMetastoreFrame({ meta: META, node: Buffer.from('null\n') })

/** Every method that reads one answer. */
const READS: readonly (readonly [
  string,
  (client: Client, signal?: AbortSignal) => Promise<unknown>,
])[] = [
  ['metastoreBackup', (client, signal) => client.metastoreBackup(signal)],
  ['databaseInfo', (client, signal) => client.databaseInfo('db', signal)],
  ['retentionPolicyInfo', (client, signal) => client.retentionPolicyInfo('db', 'rp', signal)],
  ['shardBackup', (client, signal) => text(client.shardBackup(SHARD, signal))],
  ['shardExport', (client, signal) => text(client.shardExport(SHARD, signal))],
  ['updateMeta', (client, signal) => client.updateMeta({}, [META], signal)],
]

/** Answers with `bytes` and keeps what was asked. */
async function recording(bytes: string | Uint8Array) {
  const requests: Buffer[] = []
  const peer = await answering(bytes, (request) => requests.push(request))
  const asked = (): { opening: number[]; request: ReceivedRequest } => {
    const [request = Buffer.alloc(0)] = requests
    return { opening: [...request.subarray(0, 2)], request: decodeRequest(request.subarray(2)) }
  }
  return { client: new Client(peer.host), requests, asked }
}

describe('Client', () => {
  it.each([true, false])('fetches shards whole, their memory reused: %s', async (reused) => {
    const sent = Buffer.alloc(3 * 1024 * 1024, 'the tar of a shard, ')
    const peer = await answering(sent)
    const got: Buffer[] = []
    for await (const chunk of new Client(peer.host, { reused }).shardBackup(SHARD)) {
      got.push(
        reused ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length),
      )
    }
    expect(Buffer.concat(got).equals(sent)).toBe(true)
  })

  it('fetches the metastore', async () => {
    const { client, asked } = await recording(FRAME)
    expect(await client.metastoreBackup()).toEqual(sampleData())
    expect(asked()).toMatchObject({ opening: [3, 1], request: { Type: 1 } })
  })

  it('fetches the bytes of the metastore and the node', async () => {
    const { client } = await recording(FRAME)
    const { meta, node } = await client.metastoreBytes()
    expect(Buffer.from(meta).equals(META)).toBe(true)
    expect(Buffer.from(node).toString()).toBe('null\n')
  })

  it('asks for the shards of a database, or of all', async () => {
    const paths = { Paths: ['a b/autogen/1', 'a b/autogen/2'] }
    const { client, asked } = await recording(encodeResponse(paths))
    expect(await client.databaseInfo('a b')).toEqual(paths)
    expect(asked()).toMatchObject({ opening: [3, 3], request: { BackupDatabase: 'a b' } })
    const all = await recording('{"Paths":null}\n')
    expect(await all.client.databaseInfo()).toEqual({ Paths: [] })
    expect(all.asked().request.BackupDatabase).toBe('')
  })

  it('asks for the shards of a retention policy', async () => {
    const { client, asked } = await recording(encodeResponse({ Paths: [] }))
    expect(await client.retentionPolicyInfo('db', 'r p')).toEqual({ Paths: [] })
    expect(asked()).toMatchObject({
      opening: [3, 4],
      request: { BackupDatabase: 'db', BackupRetentionPolicy: 'r p' },
    })
  })

  it('asks for a shard and gives its bytes as they are', async () => {
    const { client, asked } = await recording('tar bytes')
    expect(await text(client.shardBackup({ ...SHARD, since: 5n }))).toBe('tar bytes')
    expect(asked()).toMatchObject({
      opening: [3, 0],
      request: {
        BackupDatabase: 'a b',
        BackupRetentionPolicy: 'autogen',
        ShardID: 2n ** 64n - 1n,
        Since: 5n,
      },
    })
  })

  it('never leaves a bound of an export open, which would overflow in the server', async () => {
    const { client, asked } = await recording('tar bytes')
    expect(await text(client.shardExport({ ...SHARD, start: 7n }))).toBe('tar bytes')
    const all = await recording('tar bytes')
    await text(all.client.shardExport({ ...SHARD, end: -7n }))
    const last = 2n ** 63n - 2n
    expect(asked()).toMatchObject({
      opening: [3, 5],
      request: { ExportStart: 7n, ExportEnd: last },
    })
    expect(all.asked().request).toMatchObject({ ExportStart: -last, ExportEnd: -7n })
  })

  it('breaks the connection when the consumer of a shard stops', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const peer = await listen((socket) => {
      closed = new Promise((resolve) => socket.resume().once('error', resolve))
      socket.write('some bytes')
    })
    for await (const chunk of new Client(peer.host).shardBackup(SHARD)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    await closed
  })

  it('makes no connection before a shard is read', async () => {
    const peer = await answering('x')
    new Client(peer.host).shardBackup(SHARD)
    await delay(20)
    expect(peer.connections()).toBe(0)
  })

  it('refuses a request that cannot be, before it connects', async () => {
    const client = new Client(() => Promise.reject(new Error('must not connect')))
    const wrong = client.shardBackup({ ...SHARD, shardId: -1 })
    expect((await rejected(text(wrong))).code).toBe('E_USAGE')
  })
})

describe('Client.updateMeta', () => {
  const IDS = new Map([[1n, 2n ** 63n]])

  it('sends everything in one write and returns the map', async () => {
    const { client, requests, asked } = await recording(encodeShardIds(IDS))
    const names = { BackupDatabase: 'a', RestoreDatabase: 'b', BackupRetentionPolicy: 'c' }
    expect(
      await client.updateMeta({ ...names, UploadSize: 9 }, [Buffer.from('metastore')]),
    ).toEqual(IDS)
    const [request = Buffer.alloc(0)] = requests
    const json = request.indexOf('\n') + 1
    expect(request.subarray(json).toString()).toBe('metastore')
    requests[0] = request.subarray(0, json)
    expect(asked()).toMatchObject({ opening: [3, 6], request: { ...names, UploadSize: 9 } })
  })

  it('refuses a stream of another size, or too long, before it connects', async () => {
    const client = new Client(() => Promise.reject(new Error('must not connect')))
    const short = client.updateMeta({ UploadSize: 10 }, [Buffer.from('metastore')])
    expect(await rejected(short)).toMatchObject({
      code: 'E_USAGE',
      message: 'metadata update: UploadSize is 10, the metastore has 9 bytes',
    })
    const long = Array<Uint8Array>(65).fill(new Uint8Array(2 ** 20))
    expect((await rejected(client.updateMeta({}, long))).code).toBe('E_USAGE')
  })

  it('says what a map without pairs can mean', async () => {
    const { client } = await recording(encodeShardIds(new Map()))
    const error = await rejected(client.updateMeta({}, [META]))
    expect(error).toMatchObject({ code: 'E_DESTINATION', retryable: false })
    expect(error.message).toMatch(/server did not change its metadata/)
    expect(error.hint).toMatch(/is there already.*does not hold.*no shards.*1\.8\.10/)
  })

  it('is not to be repeated once the server has it', async () => {
    const cut = await recording(encodeShardIds(IDS).subarray(0, 20))
    const reset = await listen((socket) => {
      socket.once('data', () => socket.resetAndDestroy())
    })
    const silent = await listen(() => {})
    const errors = await Promise.all([
      rejected(cut.client.updateMeta({}, [META])),
      rejected(new Client(reset.host).updateMeta({}, [META])),
      rejected(new Client(silent.host, { firstByte: 30 }).updateMeta({}, [META])),
    ])
    expect(errors.map((error) => error.code)).toEqual(['E_CUT', 'E_CUT', 'E_TIMEOUT'])
    for (const error of errors) {
      expect(error.retryable).toBe(false)
      expect(error.hint).toMatch(/list its databases before trying again/)
    }
  })
})

describe.each(READS)('Client.%s', (method, read) => {
  const readOnly = method !== 'updateMeta'

  async function errorFrom(peer: Peer, options = {}): Promise<SnapError> {
    return await rejected(read(new Client(peer.host, options)))
  }

  it('fails at once where nobody listens', async () => {
    const port = await closedPort()
    const error = await rejected(read(new Client(`127.0.0.1:${port}`)))
    expect(error).toMatchObject({ code: 'E_CONNECT', retryable: false })
    expect(error.message).toContain(`127.0.0.1:${port}: cannot connect`)
    expect(error.hint).toMatch(/8088/)
  })

  it('tells an empty answer from a cut one', async () => {
    const error = await errorFrom(await answering(''))
    expect(error.message).toMatch(/empty answer/)
    expect(error.code).toBe(readOnly ? 'E_SOURCE' : 'E_DESTINATION')
    expect(error.retryable).toBe(method.startsWith('shard'))
    expect(error.hint).toMatch(/log/)
  })

  it('tells an HTTP server by its answer', async () => {
    const error = await errorFrom(
      await answering('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
    )
    expect(error).toMatchObject({ code: 'E_PROTOCOL', retryable: false })
    expect(error.message).toContain('HTTP/1.1 400 Bad Request')
    expect(error.hint).toMatch(/8086.*8088/)
  })

  it('gives up on a server that says nothing', async () => {
    const error = await errorFrom(await listen(() => {}), { firstByte: 30 })
    expect(error).toMatchObject({ code: 'E_TIMEOUT', retryable: readOnly })
  })

  it('gives up on a server that stops in the middle', async () => {
    const stalling = await listen((socket) => {
      socket.once('data', () => socket.write(FRAME.subarray(0, 10)))
    })
    const error = await errorFrom(stalling, { idle: 30 })
    expect(error).toMatchObject({ code: 'E_TIMEOUT', retryable: readOnly })
  })

  it('tells a reset from an end', async () => {
    const resetting = await listen((socket) => {
      socket.once('data', async () => {
        socket.write(FRAME.subarray(0, 10))
        await delay(20)
        socket.resetAndDestroy()
      })
    })
    expect(await errorFrom(resetting)).toMatchObject({ code: 'E_CUT', retryable: readOnly })
  })

  it('stops when its signal is aborted', async () => {
    const peer = await listen(() => {})
    const stop = new AbortController()
    const error = rejected(read(new Client(peer.host), stop.signal))
    setTimeout(() => stop.abort(new SnapError('E_INTERRUPTED', 'SIGINT')), 20)
    expect(await error).toMatchObject({ code: 'E_INTERRUPTED', message: 'SIGINT' })
    const before = read(new Client(peer.host), AbortSignal.abort())
    expect((await rejected(before)).code).toBe('E_INTERRUPTED')
  })

  it('gets the very error of a server in this process', async () => {
    const reason = new SnapError('E_SOURCE', 'shard 5 is not there')
    const client = new Client(async () => {
      const [near, far] = duplexPair()
      far.once('data', () => far.destroy(reason))
      return near
    })
    expect(await rejected(read(client))).toBe(reason)
  })
})

describe.each(READS.filter(([method]) => !method.startsWith('shard')))('Client.%s', (_, read) => {
  it('refuses what is no answer', async () => {
    const peer = await answering(`${'no answer '.repeat(10)}\n`)
    const error = await rejected(read(new Client(peer.host)))
    expect(error).toMatchObject({ code: 'E_PROTOCOL', retryable: false })
    expect(error.message).toContain(peer.host)
  })
})

describe('Client', () => {
  it('refuses an answer that goes on past any sensible size', async () => {
    const peer = await listen((socket) => {
      const chunk = Buffer.alloc(2 ** 20, 'x')
      const fill = () => {
        while (!socket.destroyed && socket.write(chunk));
      }
      socket.on('drain', fill)
      fill()
    })
    const error = await rejected(new Client(peer.host).databaseInfo())
    expect(error.message).toMatch(/answer of more than 67108864 bytes/)
  })

  it('says that a metastore that does not decode came in damaged', async () => {
    const frame = encodeMetastoreFrame({
      meta: Buffer.from('no meta'),
      node: Buffer.from('null\n'),
    })
    const { client } = await recording(frame)
    expect((await rejected(client.metastoreBackup())).code).toBe('E_SOURCE_DAMAGED')
  })

  it('says so when a name is unknown', async () => {
    const error = await rejected(new Client('no-such-host.invalid').databaseInfo())
    expect(error.code).toBe('E_CONNECT')
    expect(error.message).toMatch(/^no-such-host\.invalid:8088: cannot connect/)
  })

  it('gives up on a connection that is not made in time', async () => {
    let late: ReturnType<typeof duplexPair> | undefined
    const client = new Client(
      async () => {
        await delay(50)
        late = duplexPair()
        return late[0]
      },
      { connect: 20 },
    )
    expect(await rejected(client.databaseInfo())).toMatchObject({
      code: 'E_TIMEOUT',
      retryable: true,
    })
    await delay(50)
    expect(late?.[0].destroyed).toBe(true)
  })

  it('calls what keeps a connection in this process from being made by its own name', async () => {
    const broken = new Client(() => Promise.reject(new Error('no pipe')))
    expect((await rejected(broken.databaseInfo())).message).toBe('snapshotter: no pipe')
    const reason = new SnapError('E_CONNECT', 'the service is closed')
    const closed = new Client(() => Promise.reject(reason))
    expect(await rejected(closed.databaseInfo())).toBe(reason)
  })
})
