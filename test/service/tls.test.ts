import { once } from 'node:events'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Client, type ClientTls } from '../../src/client/index.ts'
import { encodeUploadOpening } from '../../src/protocol/index.ts'
import { type DoorFiles, openDoor } from '../../src/service/index.ts'
import { answering, listen, receive } from '../client/peer.ts'
import { entry, streamOf, tarOf } from '../client/tars.ts'
import {
  type Authority,
  type Certificate,
  describeWithOpenssl,
  makeAuthority,
  readPair,
} from '../helpers/certificates.ts'
import { until } from '../helpers/until.ts'
import { rejected } from '../protocol/thrown.ts'
import { DATABASE, Log, sampleStore, serve } from './harness.ts'

describeWithOpenssl('Service behind TLS', () => {
  let authority: Authority
  let server: Certificate
  let ca: Buffer

  beforeAll(async () => {
    authority = await makeAuthority()
    server = await authority.certify('server')
    ca = await readFile(authority.certFile)
  })

  /** A service behind a door that is made of the server's certificate and `files`. */
  async function serveTls(
    files: Partial<DoorFiles> = {},
    options: Parameters<typeof serve>[1] = {},
  ) {
    const doorLog = new Log()
    const door = await openDoor({ ...server, ...files }, doorLog)
    const store = sampleStore()
    const served = await serve(store, { door, ...options })
    const tlsClient = (tls: ClientTls = {}, host = served.host) =>
      new Client(host, { tls: { ca, ...tls } })
    return { ...served, store, doorLog, tlsClient }
  }

  /** A TLS connection of a peer that does what it likes. */
  async function openTls(port: number, options: object = {}): Promise<TLSSocket> {
    const below = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const socket = connectTls({ socket: below, ca, servername: 'localhost', ...options })
    socket.on('error', () => {})
    onTestFinished(() => void below.destroy())
    await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve))
    return socket
  }

  async function openPlain(port: number): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    await once(socket, 'connect')
    return socket
  }

  it('answers everything as without', async () => {
    const { tlsClient, client: _, store } = await serveTls()
    const plain = (await serve(sampleStore())).client('tcp')
    const client = tlsClient()
    expect(await client.databaseInfo()).toEqual(await plain.databaseInfo())
    expect(await client.metastoreBytes()).toEqual(await plain.metastoreBytes())
    const shard = { database: DATABASE, retentionPolicy: 'autogen', shardId: 10 }
    expect(await text(client.shardBackup(shard))).toBe(await text(plain.shardBackup(shard)))
    const tar = streamOf(await tarOf(entry('db/rp/1/x.tsm', 'x'.repeat(200_000))))
    await client.uploadShard(1, 10, DATABASE, '', tar)
    expect(store.shards.get(10n)?.files.get('x.tsm')?.bytes.length).toBe(200_000)
  })

  it('resets what fails half way, so that no end looks like success', async () => {
    const { tlsClient, store, log } = await serveTls()
    store.exportShard = async (_id, _start, _end, w) => {
      w.write('half a tar')
      await delay(50)
      throw new Error('disk broke')
    }
    store.restoreShard = async (_id, r) => {
      for await (const _ of r) throw new Error('disk broke')
    }
    const shard = { database: DATABASE, retentionPolicy: 'autogen', shardId: 10 }
    const error = await rejected(text(tlsClient().shardExport(shard)))
    expect(error).toMatchObject({ code: 'E_CUT', retryable: true })
    expect(error.hint).toMatch(/token and certificate/)
    const tar = streamOf(await tarOf(entry('db/rp/1/x.tsm', 'x')))
    const upload = rejected(tlsClient().uploadShard(1, 10, DATABASE, '', tar))
    expect((await upload).code).toBe('E_DESTINATION')
    await log.line(/error: .*ShardUpdate 10: failed: disk broke/)
  })

  it('serves who only speaks TLS, as a tunnel in front of influxd’s tools does', async () => {
    const { port } = await serveTls()
    const socket = await openTls(port)
    expect(socket.alpnProtocol).toBe(false)
    socket.write('\x03\x03{"BackupDatabase":"_internal"}\n')
    expect((await receive(socket)).bytes.toString()).toBe('{"Paths":["_internal/monitor/1"]}\n')
  })

  it('refuses old versions of TLS, other protocols in it, and resumes nothing', async () => {
    const { port, log } = await serveTls()
    const old = await openTls(port, {
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    expect(old.authorized).toBe(false)
    await log.line(/warn: 127.0.0.1:\d+: no TLS handshake: .*(version|protocol)/)
    const other = await openTls(port, { ALPNProtocols: ['h2'] })
    expect(other.authorized).toBe(false)
    await log.line(/warn: 127.0.0.1:\d+: no TLS handshake: .*application protocol/)
    const socket = await openTls(port, { maxVersion: 'TLSv1.2' })
    expect([socket.getProtocol(), socket.getTLSTicket()]).toEqual(['TLSv1.2', undefined])
  })

  it('asks for a certificate of one authority, and names in its log who comes', async () => {
    const clients = await makeAuthority('clients')
    const { tlsClient, log } = await serveTls({ clientCaFile: clients.certFile })
    const known = await readPair(await clients.certify('backup'))
    expect((await tlsClient(known).databaseInfo()).Paths).toHaveLength(3)
    await log.line(/info: 127.0.0.1:\d+ \("CN=backup"\): DatabaseInfo: answered/)
    const none = await rejected(tlsClient().databaseInfo())
    expect(none.code).toMatch(/^E_CUT|E_CONNECT$/)
    expect(none.hint).toMatch(/certificate/)
    await log.line(/warn: .*refused: it gave no certificate/)
    const foreign = await readPair(await authority.certify('foreign'))
    expect((await rejected(tlsClient(foreign).databaseInfo())).hint).toMatch(/certificate/)
    await log.line(/warn: .*refused: its certificate \("CN=foreign"\): \w+/)
    const expired = await readPair(await clients.certify('expired', { days: -1 }))
    expect((await rejected(tlsClient(expired).databaseInfo())).hint).toMatch(/certificate/)
    await log.line(/warn: .*its certificate \("CN=expired"\): CERT_HAS_EXPIRED/)
  })

  it('never ends an upload of somebody it refuses as if it had succeeded', async () => {
    const clients = await makeAuthority('clients')
    const { tlsClient, store } = await serveTls({ clientCaFile: clients.certFile })
    for (let turn = 0; turn < 20; turn++) {
      const tar = streamOf(await tarOf(entry('db/rp/1/x.tsm', 'x')))
      const error = await rejected(tlsClient().uploadShard(1, 10, DATABASE, '', tar))
      expect(error.code).toMatch(/E_DESTINATION|E_CONNECT/)
    }
    expect(store.changes).toEqual([])
  })

  it('resets a peer that does not get on with the handshake', async () => {
    const { port, log } = await serveTls({}, { limits: { handshake: 60 } })
    const silent = await openPlain(port)
    expect((await receive(silent)).end).toBe('reset')
    await log.line(/warn: .*no TLS handshake in 0.06 s/)
    const half = await openPlain(port)
    half.write(Buffer.from('160301010001', 'hex'))
    expect((await receive(half)).end).toBe('reset')
  })

  it('is not kept by a peer that leaves within the handshake, and says nothing of a port probe', async () => {
    const { port, log, service } = await serveTls()
    const probe = await openPlain(port)
    probe.resume().end()
    await once(probe, 'close')
    expect(log.lines).toEqual([])
    const gone = await openPlain(port)
    gone.resume().end(Buffer.from('160301010001', 'hex'))
    await once(gone, 'close')
    await log.line(/warn: .*no TLS handshake: /)
    const reset = await openPlain(port)
    reset.write(Buffer.from('160301010001', 'hex'))
    await delay(20)
    reset.resetAndDestroy()
    await expect.poll(() => log.lines.length).toBe(2)
    const start = Date.now()
    await service.close(10_000)
    expect(Date.now() - start).toBeLessThan(5000)
  })

  it('makes room of those who do not get on with it', async () => {
    const { port, tlsClient, log } = await serveTls({}, { limits: { connections: 3 } })
    const silent = await Promise.all([1, 2, 3].map(() => openPlain(port)))
    const ends = silent.map(receive)
    for (let turn = 0; turn < 3; turn++) {
      expect((await tlsClient().databaseInfo()).Paths).toHaveLength(3)
    }
    expect((await ends[0])?.end).toBe('reset')
    await log.line(/warn: .*no TLS handshake: the peer left/)
  })

  it('lets those within the handshake finish when it closes, and no longer than it waits', async () => {
    const { port, service } = await serveTls()
    const silent = await openPlain(port)
    const end = receive(silent)
    await delay(20)
    await service.close(20)
    expect((await end).end).toBe('reset')
  })

  it('breaks off a request that takes too long in all', async () => {
    const { tlsClient, store, log } = await serveTls({}, { limits: { total: 80 } })
    store.backupShard = async (_id, _since, w, signal) => {
      while (!signal.aborted) {
        w.write('x')
        await delay(10)
      }
      throw signal.reason
    }
    const shard = { database: DATABASE, retentionPolicy: 'autogen', shardId: 10 }
    expect((await rejected(text(tlsClient().shardBackup(shard)))).code).toBe('E_CUT')
    await log.line(/error: .*ShardBackup.*no end of the request in 0.08 s/)
  })

  it('serves the machine itself without TLS on a second address, within the same limits', async () => {
    const plain = { host: '127.0.0.1', port: 0 }
    const { service, tlsClient, log } = await serveTls({}, { plain, limits: { connections: 1 } })
    const port = service.plainAddress?.port ?? 0
    expect(port).not.toBe(service.address?.port)
    const local = new Client(`127.0.0.1:${port}`)
    expect(await local.databaseInfo()).toEqual(await tlsClient().databaseInfo())
    await openPlain(port)
    expect((await tlsClient().databaseInfo()).Paths).toHaveLength(3)
    await log.line(/reset to make room/)
    const second = await rejected(serveTls({}, { plain: { host: '127.0.0.1', port } }))
    expect(second.message).toMatch(/cannot listen/)
  })

  describe('Client', () => {
    it('does not trust an authority that it was not told of', async () => {
      const { host } = await serveTls()
      const error = await rejected(new Client(host, { tls: {} }).databaseInfo())
      expect(error).toMatchObject({ code: 'E_CONNECT', retryable: false })
      expect(error.hint).toMatch(/--ca FILE/)
    })

    it('wants the name it asked for', async () => {
      const named = await authority.certify('named', { names: 'DNS:db1.example.net' })
      const { tlsClient } = await serveTls(named)
      const error = await rejected(tlsClient().databaseInfo())
      expect(error.code).toBe('E_CONNECT')
      expect(error.hint).toMatch(/--tls-server-name/)
      const told = tlsClient({ serverName: 'db1.example.net' })
      expect((await told.databaseInfo()).Paths).toHaveLength(3)
      const { tlsClient: other, port } = await serveTls()
      const byName = other({}, `localhost:${port}`)
      expect((await byName.databaseInfo()).Paths).toHaveLength(3)
      expect((await other({ serverName: '127.0.0.1' }).databaseInfo()).Paths).toHaveLength(3)
      expect((await rejected(other({ serverName: '192.0.2.1' }).databaseInfo())).hint).toMatch(
        /--tls-server-name/,
      )
    })

    it('refuses a certificate that has expired', async () => {
      const expired = await authority.certify('old', { days: -1 })
      const { tlsClient, doorLog } = await serveTls(expired)
      expect(await doorLog.line(/warn: .*old.crt: expired on /)).toBeDefined()
      const error = await rejected(tlsClient().databaseInfo())
      expect(error).toMatchObject({ code: 'E_CONNECT', retryable: false })
      expect(error.hint).toMatch(/dates.*clocks/)
    })

    it('says so where nobody speaks TLS', async () => {
      const { host } = await serve(sampleStore())
      const tls = { ca }
      const error = await rejected(new Client(host, { tls }).databaseInfo())
      expect(error).toMatchObject({ code: 'E_CONNECT', retryable: false })
      expect(error.hint).toMatch(/may speak no TLS there/)
      const http = await answering('HTTP/1.1 400 Bad Request\r\n\r\n')
      expect((await rejected(new Client(http.host, { tls }).databaseInfo())).hint).toMatch(/no TLS/)
    })

    it('says so where TLS is spoken and it does not', async () => {
      const { host } = await serveTls()
      const error = await rejected(new Client(host).databaseInfo())
      expect(error.code).toBe('E_PROTOCOL')
      expect(error.hint).toMatch(/connect with --tls/)
    })

    it('gives a silent server no longer for the handshake than for the connection', async () => {
      const { host } = await listen(() => {})
      const client = new Client(host, { tls: { ca }, connect: 500 })
      expect((await rejected(client.databaseInfo())).message).toMatch(/no TLS handshake in 0.5 s/)
      const stop = new AbortController()
      const stopped = rejected(new Client(host, { tls: { ca } }).databaseInfo('', stop.signal))
      await delay(30)
      stop.abort()
      expect((await stopped).code).toBe('E_INTERRUPTED')
    })

    it('names the alerts of a server that wants other TLS', async () => {
      const { cert, key } = await readPair(server)
      const strict = createTlsServer({ cert, key, ALPNProtocols: ['h2'] }).listen(0, '127.0.0.1')
      await once(strict, 'listening')
      onTestFinished(() => void strict.close())
      const address = strict.address()
      const port = typeof address === 'object' ? address?.port : 0
      const error = await rejected(new Client(`127.0.0.1:${port}`, { tls: { ca } }).databaseInfo())
      expect(error.hint).toMatch(/another protocol/)
    })

    it('takes TLS for hosts only', async () => {
      const inside = () => new Client(async () => connect(1), { tls: {} })
      expect(inside).toThrow('a token goes with TLS, and TLS with a host')
    })
  })

  describe('openDoor', () => {
    it('refuses files that are not what they should be', async () => {
      const other = await authority.certify('other')
      const missing = join(authority.dir, 'missing.pem')
      const empty = join(authority.dir, 'empty.pem')
      await writeFile(empty, '')
      const cases: [Partial<DoorFiles>, RegExp][] = [
        [{ certFile: missing }, /missing.pem.*ENOENT|ENOENT.*missing.pem/],
        [{ keyFile: missing }, /missing.pem/],
        [{ keyFile: other.keyFile }, /server.crt and .*other.key: no certificate and its key/],
        [{ certFile: empty }, /no certificate and its key/],
        [{ keyFile: server.certFile }, /no certificate and its key/],
        [{ clientCaFile: empty }, /empty.pem: no certificate in PEM/],
        [{ clientCaFile: missing }, /missing.pem/],
        [{ tokenFile: missing }, /missing.pem/],
        [{ tokenFile: empty }, /empty.pem: there is no token in it/],
      ]
      for (const [files, pattern] of cases) {
        const error = await rejected(openDoor({ ...server, ...files }, new Log()))
        expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringMatching(pattern) })
      }
    })

    it('takes a renewed certificate, and keeps the old one while the new one is broken', async () => {
      const files = {
        certFile: join(authority.dir, 'now.crt'),
        keyFile: join(authority.dir, 'now.key'),
      }
      const use = async ({ certFile, keyFile }: Certificate) => {
        await copyFile(certFile, files.certFile)
        await copyFile(keyFile, files.keyFile)
      }
      await use(server)
      const { tlsClient, doorLog } = await serveTls(files)
      const serverName = 'renewed.example.net'
      expect((await tlsClient().databaseInfo()).Paths).toHaveLength(3)
      await writeFile(files.certFile, 'half of a certif')
      expect((await tlsClient().databaseInfo()).Paths).toHaveLength(3)
      await doorLog.line(/error: the certificate stays as it was: .*now.crt/)
      await rm(files.certFile)
      expect((await tlsClient().databaseInfo()).Paths).toHaveLength(3)
      await use(await authority.certify('renewed', { names: `DNS:${serverName}` }))
      expect((await tlsClient({ serverName }).databaseInfo()).Paths).toHaveLength(3)
      expect((await rejected(tlsClient().databaseInfo())).code).toBe('E_CONNECT')
    })
  })

  it('resets an upload whose peer leaves without a word of TLS', async () => {
    const { port, store, log } = await serveTls()
    const socket = await openTls(port)
    socket.write(Buffer.concat([encodeUploadOpening(10n), Buffer.alloc(700, 'x')]))
    await until(() => store.changes.length > 0)
    socket.destroy()
    await log.line(/error: .*ShardUpdate 10/)
    expect(store.changes).toEqual(['disable 10', 'enable 10'])
  })
})
