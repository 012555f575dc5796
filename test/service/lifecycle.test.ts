import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { Service } from '../../src/service/index.ts'
import { receive } from '../client/peer.ts'
import { entry, streamOf, tarOf } from '../client/tars.ts'
import { until } from '../helpers/until.ts'
import { rejected } from '../protocol/thrown.ts'
import { DATABASE, sampleStore, serve } from './harness.ts'

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

describe('Service.open', () => {
  it('says what to do if the address is taken', async () => {
    const { port } = await serve(sampleStore())
    const store = sampleStore()
    const second = new Service({ metaClient: store, tsdbStore: store, port })
    const error = await rejected(second.open())
    expect(error.code).toBe('E_FAILED')
    expect(error.message).toMatch(new RegExp(`^127.0.0.1:${port}: cannot listen: .*EADDRINUSE`))
    expect(error.hint).toMatch(/take another port, as --bind/)
    expect(second.address).toBeUndefined()
  })

  it('refuses a host that is not of this machine', async () => {
    const store = sampleStore()
    const service = new Service({ metaClient: store, tsdbStore: store, host: '192.0.2.1', port: 0 })
    expect((await rejected(service.open())).hint).toBeUndefined()
  })

  it('takes a listener of somebody else, and its half-closed uploads', async () => {
    const listener = createServer()
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const store = sampleStore()
    let finished = false
    const restore = store.restoreShard.bind(store)
    store.restoreShard = async (id, r, signal) => {
      await restore(id, r, signal)
      await delay(50)
      finished = true
    }
    const { service, port } = await serve(store, { listener })
    expect(service.listener).toBe(listener)
    const tar = streamOf(await tarOf(entry('db/rp/1/x.tsm', 'x')))
    await new Client(`127.0.0.1:${port}`).uploadShard(1, 10, DATABASE, '', tar)
    expect(finished).toBe(true)
    await service.close()
    expect(listener.listening).toBe(false)
  })

  it('logs an error of its listener', async () => {
    const { service, log } = await serve(sampleStore())
    service.listener.emit('error', new Error('EMFILE'))
    await log.line(/error: listener: EMFILE/)
  })

  it('resets connections past the limit, and takes new ones when others are done', async () => {
    const store = sampleStore()
    const finish = new AbortController()
    let begun = 0
    store.backupShard = async () => {
      begun += 1
      await once(finish.signal, 'abort')
    }
    const { port, log, client } = await serve(store, { limits: { connections: 2 } })
    const first = await open(port)
    const second = await open(port)
    for (const socket of [first, second]) socket.write('\x03\x00{}\n')
    await until(() => begun === 2)
    const error = await rejected(client('tcp').metastoreBytes())
    expect(error.retryable).toBe(true)
    await log.line(/warn: .*refused, 2 connections are open/)
    finish.abort()
    second.resume().end()
    await once(second, 'close')
    expect((await client('tcp').metastoreBytes()).node.length).toBeGreaterThan(0)
    first.destroy()
  })

  it('makes room by resetting who asks for nothing', async () => {
    const { port, log, client } = await serve(sampleStore(), { limits: { connections: 2 } })
    const sockets = await Promise.all([open(port), open(port)])
    const ends = sockets.map(receive)
    sockets[1]?.write('\x03\x03{"Backup')
    for (let turn = 0; turn < 5; turn++) {
      expect((await client('tcp').databaseInfo()).Paths).toHaveLength(3)
    }
    expect((await ends[0])?.end).toBe('reset')
    await log.line(/error: .*reset to make room: 2 connections are open, and this one asks/)
  })
})

describe('Service.close', () => {
  it('waits for what is running', async () => {
    const store = sampleStore()
    const backup = store.backupShard.bind(store)
    let isRunning = false
    store.backupShard = async (id, since, w, signal) => {
      isRunning = true
      await delay(50)
      await backup(id, since, w, signal)
    }
    const { service, client } = await serve(store)
    const shard = { database: DATABASE, retentionPolicy: 'autogen', shardId: 10 }
    const running = text(client('tcp').shardBackup(shard))
    await until(() => isRunning)
    await service.close()
    expect((await running).length).toBeGreaterThan(1024)
    expect((await rejected(client('tcp').databaseInfo())).code).toBe('E_CONNECT')
    expect((await rejected(client('in process').databaseInfo())).message).toBe(
      'the service is closed',
    )
  })

  it('breaks what goes on for longer than the grace', async () => {
    const { service, port, log } = await serve(sampleStore())
    const socket = await open(port)
    const end = receive(socket)
    socket.write('\x03\x03{')
    await delay(20)
    await service.close(30)
    expect((await end).end).toBe('reset')
    await log.line(/error: .*the service is closed/)
  })

  it('returns even if a store does not stop', async () => {
    const store = sampleStore()
    store.backupShard = () => new Promise(() => {})
    const { service, log } = await serve(store, { limits: { stop: 20 } })
    const [near, far] = duplexPair()
    void service.handle(far)
    near.write('\x03\x00{"ShardID":10}\n')
    await delay(20)
    const error = once(near, 'error')
    const closed = service.close(0)
    expect(await error).toMatchObject([{ code: 'E_CUT', message: 'the service is closed' }])
    await closed
    expect(log.lines).toEqual([])
  })
})
